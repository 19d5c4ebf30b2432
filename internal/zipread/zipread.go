// Package zipread opens zips from anywhere: what their list of files takes is bounded.
package zipread

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
)

// Open reads the list of files of a zip of size bytes, of which at most limit bytes are
// read. Names that lead out of a folder are no error: nothing is unpacked here, and who
// does looks at them.
func Open(r io.ReaderAt, size, limit int64) (*zip.Reader, error) {
	z, _, err := OpenAt(r, size, limit)
	return z, err
}

// OpenAt is Open, and says from which offset on the zip was read for its list.
func OpenAt(r io.ReaderAt, size, limit int64) (z *zip.Reader, from int64, err error) {
	b := &bounded{r, limit, limit, size}
	z, err = zip.NewReader(b, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, 0, err
	}
	b.left = -1 // the files themselves are not the list
	return z, b.from, nil
}

// bounded ends the reading of a list of files that never ends; left is negative where
// nothing is bounded any more.
type bounded struct {
	io.ReaderAt
	left, limit int64
	from        int64 // the lowest offset that was read
}

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		b.from = min(b.from, off)
		if b.left -= int64(len(p)); b.left < 0 {
			b.left = 0
			return 0, fmt.Errorf("its list of files is larger than %d MB", b.limit>>20)
		}
	}
	return b.ReaderAt.ReadAt(p, off)
}
