package pe

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

const (
	dirResource = 2
	rtVersion   = 16 // RT_VERSION, winuser.h
	// maxResources bounds the entries of one resource directory that are looked at.
	maxResources = 4096
)

// FileVersion returns the file version of the version resource, "20.11.1" or
// "20.11.1.3" where the last part is not 0; empty where the file has none
// (VS_FIXEDFILEINFO, verrsrc.h).
func (f *File) FileVersion() (Text, error) {
	dir := f.dir(dirResource)
	if dir.rva == 0 {
		return Text{}, nil
	}
	root, err := f.rva(dir.rva, dir.at, "the resource directory")
	if err != nil {
		return Text{}, err
	}
	// Three levels: type, name, language. Of the last two the first one is taken.
	at, ok, err := f.resource(root, root, rtVersion)
	for level := 0; level < 2 && ok && err == nil; level++ {
		if at&subdirectory == 0 {
			return Text{}, broken(root, "the version resource has no language")
		}
		at, ok, err = f.resource(root, root+int64(at&^subdirectory), -1)
	}
	if err != nil || !ok {
		return Text{}, err
	}
	if at&subdirectory != 0 {
		return Text{}, broken(root, "the version resource lies deeper than three levels")
	}
	entry, err := f.src.at(root+int64(at), 8)
	if err != nil {
		return Text{}, err
	}
	data, err := f.rva(binary.LittleEndian.Uint32(entry), root+int64(at), "the version resource")
	if err != nil {
		return Text{}, err
	}
	// VS_VERSIONINFO: three words, "VS_VERSION_INFO" in UTF-16 with its end, and, on
	// a border of 4 bytes, VS_FIXEDFILEINFO.
	const fixed = 6 + 2*16 + 2
	info, err := f.src.at(data+fixed, 16)
	if err != nil {
		return Text{}, err
	}
	if binary.LittleEndian.Uint32(info) != 0xfeef04bd {
		return Text{}, broken(data+fixed, "the version resource has no fixed part")
	}
	high, low := binary.LittleEndian.Uint32(info[8:]), binary.LittleEndian.Uint32(info[12:])
	v := fmt.Sprintf("%d.%d.%d", high>>16, high&0xffff, low>>16)
	if build := low & 0xffff; build != 0 {
		v = fmt.Sprintf("%s.%d", v, build)
	}
	return Text{Value: v, Span: Span{data + fixed + 8, 8}}, nil
}

// ResourceNames returns the names of the resources of a type; those with a number have
// none.
func (f *File) ResourceNames(kind int) ([]Text, error) {
	dir := f.dir(dirResource)
	if dir.rva == 0 {
		return nil, nil
	}
	root, err := f.rva(dir.rva, dir.at, "the resource directory")
	if err != nil {
		return nil, err
	}
	to, ok, err := f.resource(root, root, int64(kind))
	if err != nil || !ok || to&subdirectory == 0 {
		return nil, err
	}
	at := root + int64(to&^subdirectory)
	head, err := f.src.at(at, 16)
	if err != nil {
		return nil, err
	}
	named := int(binary.LittleEndian.Uint16(head[12:]))
	if named > maxResources {
		return nil, broken(at+12, "%d resources in one directory", named)
	}
	var out []Text
	for i := range named {
		e, err := f.src.u32(at + 16 + int64(8*i))
		if err != nil {
			return out, err
		}
		name := root + int64(e&^subdirectory)
		n, err := f.src.u16(name)
		if err != nil {
			return out, err
		}
		if n > maxName {
			return out, broken(name, "a resource name of %d characters", n)
		}
		b, err := f.src.at(name+2, int(n)*2)
		if err != nil {
			return out, err
		}
		units := make([]uint16, n)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		out = append(out, Text{string(utf16.Decode(units)), Span{name + 2, int64(n) * 2}})
	}
	return out, nil
}

// subdirectory marks an offset that leads to another directory.
const subdirectory = 0x80000000

// resource finds the entry of a number in a resource directory, or the first of all
// for -1, and returns where it leads.
func (f *File) resource(root, at int64, id int64) (to uint32, ok bool, err error) {
	head, err := f.src.at(at, 16)
	if err != nil {
		return 0, false, err
	}
	named, numbered := int(binary.LittleEndian.Uint16(head[12:])), int(binary.LittleEndian.Uint16(head[14:]))
	if named+numbered > maxResources {
		return 0, false, broken(at+12, "%d resources in one directory", named+numbered)
	}
	for i := range named + numbered {
		e, err := f.src.at(at+16+int64(8*i), 8)
		if err != nil {
			return 0, false, err
		}
		if id < 0 || i >= named && int64(binary.LittleEndian.Uint32(e)) == id {
			return binary.LittleEndian.Uint32(e[4:]), true, nil
		}
	}
	return 0, false, nil
}
