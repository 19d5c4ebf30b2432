// Package learned keeps what base images really hold: the names of their files, the
// versions and functions of their DLLs, and the access lists of their folders, as
// they were read once from the layers of an image.
//
// Like pkg/detect it reads what it is given and nothing else: no network, no clock.
package learned

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Schema names the format of the files; another one is not read.
const Schema = "winpack/learned/v1"

// Header says what was learned of which image.
type Header struct {
	Schema    string `json:"schema"`
	Reference string `json:"reference"` // as the user named it
	Digest    string `json:"digest"`    // of the image's manifest
	OSVersion string `json:"osVersion"` // full: "10.0.20348.2966"
	Family    string `json:"family"`    // detect.FamilyNanoServer, ...
	Files     int    `json:"files"`
	DLLs      int    `json:"dlls"`      // files of which functions were read
	Functions int    `json:"functions"` // names of them
	Folders   int    `json:"folders"`
}

// Contents is what an image holds. Paths are slash-separated and relative to C:\;
// they are looked up without regard to case.
type Contents struct {
	Header
	folders []Folder // by path in lower case
	index   map[string]int
	cache   map[string]string // assemblies of the global caches: "name token" to path
}

// Count is how many files the image holds, of those that are kept.
func (c *Contents) Count() int {
	n := 0
	for _, f := range c.folders {
		n += len(f.Files)
	}
	return n
}

// Folder is one of the image. The folders of the component store, which hold what the
// others hold too, are left out.
type Folder struct {
	Path string `json:"path"` // "" for C:\ itself
	// Descriptor is the security descriptor, self-relative and in base64, as the layer
	// has it; or SDDL is its text. Both are empty where the layer has none.
	Descriptor string `json:"sd,omitempty"`
	SDDL       string `json:"sddl,omitempty"`
	Files      []File `json:"files,omitempty"` // by name in lower case
}

// File is one of a folder.
type File struct {
	Name    string `json:"n"`
	Version string `json:"v,omitempty"` // of the version resource
	// Functions are the names that it exports, sorted; Whole says that these are all.
	Functions []string `json:"e,omitempty"`
	Whole     bool     `json:"w,omitempty"`
}

// Exports says whether the file exports a function; known is false where its
// functions were not read.
func (f *File) Exports(name string) (has, known bool) {
	_, has = slices.BinarySearch(f.Functions, name)
	return has, has || f.Whole
}

// newContents sorts folders and counts what they hold.
func newContents(h Header, folders []Folder) *Contents {
	c := &Contents{Header: h, folders: folders}
	c.Schema = Schema
	c.Files, c.DLLs, c.Functions, c.Folders = 0, 0, 0, len(folders)
	slices.SortFunc(folders, func(a, b Folder) int { return strings.Compare(strings.ToLower(a.Path), strings.ToLower(b.Path)) })
	for i := range folders {
		files := folders[i].Files
		slices.SortFunc(files, func(a, b File) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		c.Files += len(files)
		for _, f := range files {
			c.Functions += len(f.Functions)
			if f.Whole {
				c.DLLs++
			}
		}
	}
	c.order()
	return c
}

// order makes the index of the folders.
func (c *Contents) order() {
	c.index = make(map[string]int, len(c.folders))
	for i := range c.folders {
		c.index[strings.ToLower(c.folders[i].Path)] = i
	}
	c.cache = map[string]string{}
	for i := range c.folders {
		c.assemblies(&c.folders[i])
	}
}

// assemblies notes what of a folder lies in a global assembly cache:
// assembly/GAC_MSIL/NAME/v4.0_VERSION_CULTURE_TOKEN, before CLR 4 without the v4.0.
func (c *Contents) assemblies(f *Folder) {
	parts := strings.Split(strings.ToLower(f.Path), "/")
	n := len(parts)
	if n < 5 || parts[0] != "windows" || !strings.HasPrefix(parts[n-3], "gac") || parts[n-4] != "assembly" {
		return
	}
	name, id := parts[n-2], strings.Split(parts[n-1], "_")
	if token := id[len(id)-1]; len(token) == 16 {
		for _, file := range f.Files {
			if strings.EqualFold(file.Name, name+".dll") {
				c.cache[name+" "+token] = path.Join(f.Path, file.Name)
			}
		}
	}
}

// Folder returns a folder by its path below C:\; nil where the image has none.
func (c *Contents) Folder(p string) *Folder {
	if i, ok := c.index[strings.ToLower(strings.Trim(p, "/"))]; ok {
		return &c.folders[i]
	}
	return nil
}

// AllFolders are the folders of the image, by path. They are not to be changed.
func (c *Contents) AllFolders() []*Folder {
	out := make([]*Folder, len(c.folders))
	for i := range c.folders {
		out[i] = &c.folders[i]
	}
	return out
}

// File returns a file by its path below C:\; nil where the image has none.
func (c *Contents) File(p string) *File {
	dir, name := path.Split(p)
	folder := c.Folder(dir)
	if folder == nil {
		return nil
	}
	low := strings.ToLower(name)
	i, ok := slices.BinarySearchFunc(folder.Files, low, func(f File, low string) int { return cmp.Compare(strings.ToLower(f.Name), low) })
	if !ok {
		return nil
	}
	return &folder.Files[i]
}

// Where Windows looks for a DLL that is not beside the program: the system folder, with
// what Nano Server and older API sets have below it, and the Windows folder.
var (
	searched   = []string{"Windows/System32", "Windows/System32/downlevel", "Windows/System32/forwarders", "Windows"}
	searched32 = []string{"Windows/SysWOW64", "Windows/SysWOW64/downlevel", "Windows"}
)

// DLL returns the DLL that a process of 64 or 32 bits finds by its name, and its path;
// nil where it finds none.
func (c *Contents) DLL(name string, x86 bool) (*File, string) {
	if strings.ContainsAny(name, `/\`) {
		return nil, ""
	}
	folders := searched
	if x86 {
		folders = searched32
	}
	for _, dir := range folders {
		if f := c.File(dir + "/" + name); f != nil {
			return f, dir + "/" + f.Name
		}
	}
	return nil, ""
}

// Assembly returns the path of an assembly in a global assembly cache of the image;
// empty where it is in none. The version is not asked for.
func (c *Contents) Assembly(name, token string) string {
	return c.cache[strings.ToLower(name)+" "+strings.ToLower(token)]
}
