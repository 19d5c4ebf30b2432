package dockerfile

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A stage of another system may run commands where that system is; one of Windows, or
// what it is made of, may not run any without Windows.
func TestRunOfAnotherStageIsJudgedByItsPlatform(t *testing.T) {
	const windows, linux = "FROM " + nanoserver + "ltsc2022", "FROM --platform=linux/amd64 golang"
	for name, c := range map[string]struct {
		text     string
		line     int // of what is refused
		windows  bool
		builders string
	}{
		"a stage of Linux":              {linux + " AS build\nRUN go build\n" + windows + "\nCOPY --from=build /x C:/x/\n", 4, false, "BuildKit"},
		"where the build runs":          {"FROM --platform=$BUILDPLATFORM golang AS build\nRUN go build\n" + windows + "\nCOPY --from=build /x C:/x/\n", 4, false, "BuildKit"},
		"by its number":                 {linux + "\nRUN go build\n" + windows + "\nCOPY --from=0 /x C:/x/\n", 4, false, "BuildKit"},
		"a platform by an argument":     {"ARG P=linux/amd64\nFROM --platform=$P golang AS build\nRUN go build\n" + windows + "\nCOPY --from=build /x C:/x/\n", 5, false, "BuildKit"},
		"begun with one of Linux":       {linux + " AS sdk\nFROM sdk AS build\nRUN go build\n" + windows + "\nCOPY --from=build /x C:/x/\n", 5, false, "BuildKit"},
		"a stage of Windows":            {windows + " AS build\nRUN dir\n" + windows + "\nCOPY --from=build C:/x C:/x/\n", 4, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"named as one of Windows":       {"FROM --platform=windows/amd64 x AS build\nRUN dir\n" + windows + "\nCOPY --from=build C:/x C:/x/\n", 4, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"in what a stage begins with":   {windows + " AS a\nRUN dir\nFROM a AS b\nCOPY a.txt C:/q/\n" + windows + "\nCOPY --from=b C:/q/a.txt C:/x/\n", 6, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"in what a stage copies from":   {windows + " AS a\nRUN dir\n" + windows + " AS b\nCOPY --from=a C:/x C:/q/\n" + windows + "\nCOPY --from=b C:/q C:/x/\n", 6, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"for those that begin with it":  {windows + " AS b\nONBUILD RUN dir\nFROM b\nCOPY a.txt C:/x/\n", 2, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"the same for a stage in use":   {windows + " AS a\nONBUILD RUN dir\nFROM a AS b\n" + windows + "\nCOPY --from=b C:/q C:/x/\n", 5, true, "a Docker engine on Windows or a BuildKit worker on Windows"},
		"for images on this one":        {windows + "\nONBUILD RUN dir\n", 2, false, "BuildKit or a Docker engine on Windows"},
		"of Linux, copied into Windows": {linux + " AS a\nRUN x\n" + windows + " AS b\nCOPY --from=a /x C:/q/\n" + windows + "\nCOPY --from=b C:/q C:/x/\n", 6, false, "BuildKit"},
		"without any":                   {windows + " AS a\nCOPY a C:/a/\n" + windows + "\nCOPY --from=a C:/a C:/b/\n", 4, false, "BuildKit or a Docker engine on Windows"},
		"a stage that nobody uses":      {windows + " AS a\nRUN dir\n" + windows + "\nCOPY a C:/a/\n", 0, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse("Dockerfile", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			err = p.Supported(nil)
			e, ok := errors.AsType[*UnsupportedError](err)
			switch {
			case c.line == 0 && err == nil:
			case !ok:
				t.Errorf("got %v", err)
			case e.Line != c.line || e.NeedsWindows() != c.windows || !strings.HasSuffix(err.Error(), c.builders):
				t.Errorf("got line %d, Windows %v: %v", e.Line, e.NeedsWindows(), err)
			}
		})
	}
}

func TestSourcesAreWhatAnyStageCopies(t *testing.T) {
	p, err := Parse("Dockerfile", []byte("FROM golang AS build\nCOPY ./src/ go.mod /s/\nRUN --mount=type=cache,target=/c go build\n"+
		"FROM "+nanoserver+"ltsc2022\nCOPY --from=build /x C:/x/\nADD [\"a b.txt\", \"/top/*.dll\", \"C:/y/\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Sources(); err != nil || !slices.Equal(got, []string{"src", "go.mod", "a b.txt", "top/*.dll"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range []string{"COPY $X C:/x/", "ARG A\nCOPY ${A}/b C:/x/", "RUN --mount=target=/c go build", "ONBUILD COPY a b"} {
		p, err := Parse("Dockerfile", []byte("FROM "+nanoserver+"ltsc2022\n"+text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Sources(); err != nil || !slices.Equal(got, []string{"."}) {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
}
