package dockerfile

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// isArchive says whether a file is what ADD unpacks: a tar, as it stands or
// compressed. Of xz, which is not looked into, every file is taken for one.
func isArchive(fsys fs.FS, name string) (bool, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 6)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	head = head[:n]
	content := io.MultiReader(bytes.NewReader(head), file)
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("\xfd7zXZ\x00"):
		return true, nil
	case has("\x1f\x8b"):
		z, err := gzip.NewReader(content)
		if err != nil {
			return false, nil
		}
		content = z
	case has("BZh"):
		content = bzip2.NewReader(content)
	case has("\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return false, nil
		}
		defer z.Close()
		content = z
	}
	// A header of pax or GNU may stand in front; what is larger is none.
	_, err = tar.NewReader(io.LimitReader(content, 4<<20)).Next()
	return err == nil, nil
}
