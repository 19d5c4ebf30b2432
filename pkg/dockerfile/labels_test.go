package dockerfile

import (
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// What `winpack run` has to know stands in the labels, and nothing that it could
// mistake for something else.
func TestLabelsSayWhatRunHasToKnow(t *testing.T) {
	secret := func(path, key string) detect.Fact {
		return detect.Fact{Key: "secret", Value: "shown to people", Evidence: []detect.Evidence{{Path: path, Line: 1, Detail: key}}}
	}
	for name, test := range map[string]struct {
		kind   detect.Kind
		facts  []detect.Fact
		writes []string
		want   map[string]string
	}{
		"nothing to say": {detect.KindNativeConsole, nil, nil, map[string]string{LabelKind: "native-console"}},
		"folders": {detect.KindNativeConsole, nil, []string{"logs", "data/in", "data", "."}, map[string]string{
			LabelKind: "native-console", LabelWrites: `C:\app\data|C:\app\logs`}},
		"only the app's own folder": {detect.KindNativeConsole, nil, []string{"."}, map[string]string{LabelKind: "native-console"}},
		"folders of a site":         {detect.KindStatic, nil, []string{"App_Data"}, map[string]string{LabelKind: "static", LabelWrites: `C:\inetpub\wwwroot\App_Data`}},
		"DirectX":                   {detect.KindNativeConsole, []detect.Fact{{Key: "directx", Value: "d3d12.dll"}}, nil, map[string]string{LabelKind: "native-console", LabelDirectX: "true"}},
		"DirectX that was overruled": {detect.KindNativeConsole, []detect.Fact{{Key: "directx", Value: "d3d12.dll", OverruledBy: "another program"}}, nil,
			map[string]string{LabelKind: "native-console"}},
		"secrets of appsettings.json": {detect.KindDotNetService, []detect.Fact{
			secret("appsettings.json", "ConnectionStrings:Main"), secret("appsettings.json", "Mail:Password"), secret("appsettings.Production.json", "Mail:Password"),
		}, nil, map[string]string{LabelKind: "dotnet-service", LabelEnv: "ConnectionStrings__Main|Mail__Password"}},
		"secrets that no variable replaces": {detect.KindDotNetService, []detect.Fact{
			secret("appsettings.Development.json", "A:Password"), secret("sub/appsettings.json", "B:Password"), secret("App.config", "C"), secret("appsettings.json", "Token:***"), secret("appsettings.json", "x|y"),
		}, nil, map[string]string{LabelKind: "dotnet-service"}},
		"secrets of a program that reads no environment": {detect.KindNativeConsole, []detect.Fact{secret("appsettings.json", "A:Password")}, nil,
			map[string]string{LabelKind: "native-console"}},
		"variables that web.config sets": {detect.KindDotNetService, []detect.Fact{
			{Key: "environment-dropped", Value: "API_KEY: it holds a secret, or has the name of one: give it to the container"},
			{Key: "environment-dropped", Value: "URLS: the ASP.NET Core Module says where the program listens, and in a container the image does"},
			{Key: "environment-dropped", Value: "a b: it holds a secret"},
			{Key: "environment-dropped", Value: "OLD: it holds a secret", OverruledBy: "x"},
		}, nil, map[string]string{LabelKind: "dotnet-service", LabelEnv: "API_KEY"}},
	} {
		rep := detect.Report{App: detect.App{Name: "x", Kind: test.kind, Architecture: detect.X64, Program: &detect.Program{Path: "a.exe", Form: detect.FormNative}}, Facts: test.facts}
		if test.kind == detect.KindStatic {
			rep.App.Program = nil
		}
		for _, w := range test.writes {
			rep.Needs.Writes = append(rep.Needs.Writes, detect.Write{Path: w})
		}
		plan, err := New(rep, catalog(t), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for key, want := range test.want {
			if got := plan.Config.Labels[key]; got != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
		if len(plan.Config.Labels) != len(test.want) {
			t.Errorf("%s: labels %v, want %v", name, plan.Config.Labels, test.want)
		}
	}
	if got := SplitLabel(`C:\app\data|C:\app\logs`); len(got) != 2 || got[1] != `C:\app\logs` {
		t.Errorf("a list is split into %q", got)
	}
}

// The same files in a folder of another name give the same image.
func TestLabelsDoNotNameTheFolder(t *testing.T) {
	rep := detect.Report{App: detect.App{Name: "publish-1742", Kind: detect.KindNativeConsole, Architecture: detect.X64, Program: &detect.Program{Path: "a.exe", Form: detect.FormNative}}}
	plan, err := New(rep, catalog(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range plan.Config.Labels {
		if strings.Contains(value, rep.App.Name) {
			t.Errorf("%s holds the folder's name: %q", key, value)
		}
	}
}
