package detect

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
)

// watched is a folder that counts what is read of it, and takes no path that leads out.
type watched struct {
	fstest.MapFS
	t           *testing.T
	read, opens atomic.Int64
}

func (w *watched) check(name string) {
	if !fs.ValidPath(name) {
		w.t.Errorf("%q was asked for", name)
	}
}

func (w *watched) Open(name string) (fs.File, error) {
	w.check(name)
	w.opens.Add(1)
	f, err := w.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	if at, ok := f.(io.ReaderAt); ok {
		return &watchedFile{f, at, w}, nil
	}
	return f, nil
}

func (w *watched) ReadLink(name string) (string, error) { w.check(name); return w.MapFS.ReadLink(name) }

func (w *watched) ReadDir(name string) ([]fs.DirEntry, error) {
	w.check(name)
	return w.MapFS.ReadDir(name)
}

type watchedFile struct {
	fs.File
	at io.ReaderAt
	of *watched
}

func (f *watchedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.of.read.Add(int64(n))
	return n, err
}

func (f *watchedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.at.ReadAt(p, off)
	f.of.read.Add(int64(n))
	return n, err
}

// probe looks at an app, whose report has to be one: evidence for each fact, at files
// that there are. What is read grows with the size of the app alone: each file is
// opened by some detectors, and each reads it once.
func probe(t *testing.T, app fstest.MapFS, opt Options) Report {
	t.Helper()
	for name := range app {
		if !fs.ValidPath(name) {
			return Report{} // no file system has it
		}
	}
	w := &watched{MapFS: app, t: t}
	r, err := Inspect(w, opt)
	if err != nil {
		return r // the names are none of a folder
	}
	size, files := int64(0), int64(0)
	for _, f := range app {
		size += int64(len(f.Data))
		files++
	}
	if most := 32*size + 64<<10; w.read.Load() > most {
		t.Errorf("%d bytes were read of %d", w.read.Load(), size)
	}
	if most := 64*files + 64; w.opens.Load() > most {
		t.Errorf("%d files were opened of %d", w.opens.Load(), files)
	}
	for _, a := range append([]Report{r}, r.Apps...) {
		for _, f := range a.Facts {
			if len(f.Evidence) == 0 {
				t.Errorf("%s=%s has no evidence", f.Key, f.Value)
			}
			for _, e := range f.Evidence {
				if _, err := app.Stat(e.Path); err != nil || e.Offset < 0 || e.Length < 0 {
					t.Errorf("%s=%s: evidence at %q, 0x%x, %d bytes", f.Key, f.Value, e.Path, e.Offset, e.Length)
				}
			}
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	return r
}

// built is a file of a fixture.
func built(tb testing.TB, fixture, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures.App(tb, fixture), file))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// zipped is an archive of files, which are not packed.
func zipped(tb testing.TB, pairs ...string) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		f, err := z.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: zip.Store})
		if err == nil {
			_, err = f.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			tb.Skip(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Skip(err)
	}
	return out.Bytes()
}

// FuzzClass: a class file, in a folder and in an archive.
func FuzzClass(f *testing.F) {
	f.Add([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x34\x00\x02\x01\x00\x09java/awt/"))
	f.Add([]byte("\xca\xfe\xba\xbe\x00\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, class []byte) {
		jar := zipped(t, "META-INF/MANIFEST.MF", "Main-Class: a.B\n", "a/B.class", string(class))
		probe(t, fstest.MapFS{"app.jar": {Data: jar}, "WEB-INF/classes/a/B.class": {Data: class}, "WEB-INF/web.xml": {Data: []byte("<web-app/>")}}, Options{})
	})
}

// FuzzJarManifest: MANIFEST.MF, and the names of files beside it.
func FuzzJarManifest(f *testing.F) {
	f.Add([]byte("Manifest-Version: 1.0\r\nMain-Class: a.B\r\nClass-Path: lib/x.jar lib/\r\n y.jar\r\nStart-Class: c.D\r\n"), "BOOT-INF/classes/application.properties", []byte("server.port=8081"))
	f.Add([]byte("Main-Class: org.springframework.boot.loader.JarLauncher\n\nName: x\nMain-Class: no\n"), "BOOT-INF/lib/a.jar", []byte("PK"))
	f.Fuzz(func(t *testing.T, manifest []byte, name string, data []byte) {
		jar := zipped(t, "META-INF/MANIFEST.MF", string(manifest), name, string(data))
		probe(t, fstest.MapFS{"app.jar": {Data: jar}, "lib/x.jar": {Data: jar}, "run.cmd": {Data: []byte("java -jar app.jar")}}, Options{})
	})
}

// FuzzManifests: what tells how programs of .NET and Windows are put together.
func FuzzManifests(f *testing.F) {
	names := []string{"Report.deps.json", "Report.runtimeconfig.json", "Report.exe.config", "Report.exe.manifest", "Report.dll.manifest", "Report.application", "appsettings.json", "package.json"}
	dll, exe := built(f, "dotnet-console", "Report.dll"), []byte("MZ")
	f.Add(uint8(0), []byte(`{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/win-x64"},"targets":{".NETCoreApp,Version=v8.0/win-x64":{"A/1.0":{"runtime":{"lib/a.dll":{}},"native":{"x.dll":{}}}}},"libraries":{"A/1.0":{"type":"package"}}}`))
	f.Add(uint8(1), []byte(`{"runtimeOptions":{"tfm":"net8.0","frameworks":[{"name":"Microsoft.NETCore.App","version":"8.0.0"}]}}`))
	f.Add(uint8(2), []byte(`<configuration><runtime><assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1"><probing privatePath="a;..\b"/><dependentAssembly><assemblyIdentity name="A" publicKeyToken="b77a5c561934e089"/><bindingRedirect oldVersion="0.0.0.0-9.0.0.0" newVersion="9.0.0.0"/><codeBase version="1.0.0.0" href="file:///C:/x.dll"/></dependentAssembly></assemblyBinding></runtime></configuration>`))
	f.Add(uint8(3), []byte(`<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><dependency><dependentAssembly><assemblyIdentity type="win32" name="Microsoft.VC90.CRT" version="9.0.21022.8" processorArchitecture="x86"/></dependentAssembly></dependency><file name="a.ocx"><comClass clsid="{00000000-0000-0000-0000-000000000000}" progid="A.B"/></file></assembly>`))
	f.Add(uint8(5), []byte(`<assembly><deployment/><dependency><dependentAssembly codebase="Application Files\a\a.exe.manifest"/></dependency></assembly>`))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		app := fstest.MapFS{
			"Report.dll": {Data: dll}, "Report.exe": {Data: exe},
			"Report.runtimeconfig.json": {Data: []byte(`{"runtimeOptions":{"tfm":"net8.0","framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}`)},
		}
		app[names[int(which)%len(names)]] = &fstest.MapFile{Data: data}
		probe(t, app, Options{Closure: true})
	})
}

// FuzzBinary: any binary, as program, library of a site and runtime.
func FuzzBinary(f *testing.F) {
	f.Add(built(f, "netfx-service", "Spooler.exe"), uint32(0), uint8(0))
	f.Add(built(f, "aspnet-webforms", "bin/Shop.dll"), uint32(0), uint8(0))
	f.Add(built(f, "native-console-prng", "token.exe"), uint32(60), uint8(0xff))
	f.Fuzz(func(t *testing.T, data []byte, at uint32, v uint8) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= v
		}
		probe(t, fstest.MapFS{"a.exe": {Data: data}, "bin/b.dll": {Data: data}, "Default.aspx": {Data: []byte("<%@ Page %>")}, "node.exe": {Data: data}, "server.js": {Data: []byte("require('http')")}}, Options{Closure: true})
	})
}
