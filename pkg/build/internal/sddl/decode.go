package sddl

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Decode reads a self-relative descriptor as Windows would, and refuses what is
// not well-formed: a wrong revision, an absolute form, offsets outside the bytes,
// sizes that do not add up, entry types other than allow and deny. A system list
// is accepted and left out.
func Decode(b []byte) (Descriptor, error) {
	if len(b) < headerSize {
		return Descriptor{}, fmt.Errorf("descriptor of %d bytes is cut off", len(b))
	}
	if b[0] != 1 {
		return Descriptor{}, fmt.Errorf("descriptor has revision %d, not 1", b[0])
	}
	control := binary.LittleEndian.Uint16(b[2:])
	if control&selfRelative == 0 {
		return Descriptor{}, errors.New("descriptor is not self-relative")
	}
	if unknown := control &^ knownControls; unknown != 0 {
		return Descriptor{}, fmt.Errorf("descriptor has unknown control bits 0x%x", unknown)
	}
	d := Descriptor{
		Protected:      control&daclProtected != 0,
		AutoInherited:  control&daclInherited != 0,
		AutoInheritReq: control&daclReq != 0,
	}
	at := func(field int) ([]byte, error) {
		offset := binary.LittleEndian.Uint32(b[field:])
		if offset == 0 {
			return nil, nil
		}
		if offset < headerSize || int64(offset) >= int64(len(b)) || offset%4 != 0 {
			return nil, fmt.Errorf("descriptor has offset %d in %d bytes", offset, len(b))
		}
		return b[offset:], nil
	}
	for _, part := range []struct {
		field int
		to    *SID
	}{{4, &d.Owner}, {8, &d.Group}} {
		body, err := at(part.field)
		if err != nil {
			return Descriptor{}, err
		}
		if body == nil {
			continue
		}
		if *part.to, _, err = decodeSID(body); err != nil {
			return Descriptor{}, err
		}
	}
	body, err := at(16)
	if err != nil {
		return Descriptor{}, err
	}
	if control&daclPresent == 0 {
		if body != nil {
			return Descriptor{}, errors.New("descriptor has a list and does not say so")
		}
		return d, nil
	}
	if body == nil {
		return d, nil
	}
	d.DACL, err = decodeACL(body)
	return d, err
}

func decodeACL(b []byte) ([]ACE, error) {
	if len(b) < 8 {
		return nil, errors.New("access list is cut off")
	}
	size := int(binary.LittleEndian.Uint16(b[2:]))
	if b[0] != revisionACL && b[0] != revisionACLObj {
		return nil, fmt.Errorf("access list has revision %d", b[0])
	}
	if size < 8 || size > len(b) {
		return nil, fmt.Errorf("access list says %d bytes, %d are there", size, len(b))
	}
	count := int(binary.LittleEndian.Uint16(b[4:]))
	b = b[8:size]
	list := []ACE{}
	for i := range count {
		if len(b) < 8 {
			return nil, fmt.Errorf("access list ends in entry %d of %d", i+1, count)
		}
		if b[0] > 1 {
			return nil, fmt.Errorf("access list has an entry of type %d", b[0])
		}
		size := int(binary.LittleEndian.Uint16(b[2:]))
		if size < 8 || size > len(b) || size%4 != 0 {
			return nil, fmt.Errorf("entry %d says %d bytes, %d are there", i+1, size, len(b))
		}
		sid, n, err := decodeSID(b[8:size])
		if err != nil {
			return nil, err
		}
		if 8+n != size {
			return nil, fmt.Errorf("entry %d says %d bytes and holds %d", i+1, size, 8+n)
		}
		list = append(list, ACE{Deny: b[0] == 1, Flags: b[1], Mask: binary.LittleEndian.Uint32(b[4:]), SID: sid})
		b = b[size:]
	}
	return list, nil
}
