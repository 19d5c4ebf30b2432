package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readText reads an inventory of that file name. Lines are those of bad rows and
// notes, without the path.
func readText(t *testing.T, name, text string, opt Options) (rows []Row, lines []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return readPath(t, path, opt)
}

func readPath(t *testing.T, path string, opt Options) (rows []Row, lines []string, err error) {
	t.Helper()
	tell := func(p Problem) { lines = append(lines, strings.ReplaceAll(p.String(), path, "IN")) }
	opt.Bad, opt.Note = tell, tell
	inv, err := Read(path, opt)
	if err != nil {
		return nil, lines, err
	}
	return inv.Rows, lines, nil
}

var shop = Row{
	Name: "shop", Source: "apps/shop", App: "web", Tag: "r.example/shop:1", OS: []string{"ltsc2022", "ltsc2025"}, Base: "r.example/base:1",
	Config: "shop.toml", Owner: "Ann", Labels: map[string]string{"Cost center": "4711"}, Folder: "shop",
}

func TestAllFormatsSayTheSame(t *testing.T) {
	blog := Row{Name: "blog", Source: "apps/blog", Folder: "blog"}
	for name, text := range map[string]string{
		"comma.csv": "name,source,app,tag,os,base,config,owner,Cost center\n" +
			"shop,apps/shop,web,r.example/shop:1,\"ltsc2022,ltsc2025\",r.example/base:1,shop.toml,Ann,4711\nblog,apps/blog\n",
		"excel.CSV": "\xef\xbb\xbfName;Source;App;Tag;OS;Base;Config;Owner;Cost center\r\n" +
			"shop;apps/shop;web;r.example/shop:1;ltsc2022,ltsc2025;r.example/base:1;shop.toml;Ann;4711\r\nblog;apps/blog;;;;;;;\r\n",
		"sep.csv": "sep=;\r\nname;source;app;tag;os;base;config;owner;Cost center\r\n" +
			"shop;\"apps/shop\";web;r.example/shop:1;\"ltsc2022;ltsc2025\";r.example/base:1;shop.toml;Ann;4711\r\nblog;apps/blog\r\n",
		"list.toml": "[[app]]\nname = 'shop'\nsource = 'apps/shop'\napp = 'web'\ntag = 'r.example/shop:1'\nos = ['ltsc2022', 'ltsc2025']\n" +
			"base = 'r.example/base:1'\nconfig = 'shop.toml'\nowner = 'Ann'\n'Cost center' = 4711\n\n[[app]]\nname = 'blog'\nsource = 'apps/blog'\n",
		"lines.jsonl": `{"name":"shop","source":"apps/shop","app":"web","tag":"r.example/shop:1","os":["ltsc2022","ltsc2025"],` +
			`"base":"r.example/base:1","config":"shop.toml","owner":"Ann","Cost center":4711}` + "\n\n" +
			`{"name":"blog","source":"apps/blog","owner":null}`,
	} {
		rows, bad, err := readText(t, name, text, Options{})
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: %v, %v", name, err, bad)
			continue
		}
		if diff := cmp.Diff([]Row{shop, blog}, rows); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryBadRowIsNamedWithItsLine(t *testing.T) {
	tags, err := ParseTemplate("r.example/{{.Name}}:1")
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := ParseTemplate("r.example/{{.Kind}}:1")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file, text string
		opt        Options
		want       []string
	}{
		"csv": {"a.csv", "name,source,x\n,apps/a\nb,\n,,\nc,apps/c\nc,apps/d\n\"d\ne\",apps/e\nf,apps/f,1,2\ng\"h,apps/g\n\x00\xff\x07,apps/h\ni,apps/i,\"two\nlines\"\n\"j,apps/j\n", Options{}, []string{
			`IN:2: the row has no name`,
			`IN:3: the row has no source: name the folder of the app`,
			`IN:4: the row has no name`,
			`IN:6: the name "c" is that of line 5 already`,
			`IN:7: name holds control characters: "d\ne"`,
			`IN:9: the row has 4 fields, and the header 3: put a value that holds ',' in quotes`,
			`IN:10: a quote stands in a value without quotes: put the value in quotes, and write the quote as ""`,
			`IN:11: name is not UTF-8 (in Excel: save as CSV UTF-8): "\x00\xff\a"`,
			`IN:14: a value in quotes does not end, or something stands behind its end: write a quote in it as ""`,
		}},
		"jsonl": {"a.jsonl", "[1]\n{\"name\":\"a\"}\n\x00\xff\n{\"name\":\"b\",\"source\":\"b\",\"name\":\"c\"}\n{\"name\":{},\"source\":\"b\"}\n" +
			"{\"name\":\"d\",\"source\":\"d\"\n{\"name\":\"e\",\"source\":\"e\"} {}\n{\"name\":\"f\",\"source\":\"f\",\"x\":\"\\u001b[2J\"}\n", Options{}, []string{
			`IN:1: the line is no JSON object like {"name": "shop", "source": "apps/shop"}: "[1]"`,
			`IN:2: the row has no source: name the folder of the app`,
			`IN:3: the line is no JSON object like {"name": "shop", "source": "apps/shop"}: "\x00\xff"`,
			`IN:4: "name" is there twice`,
			`IN:5: "name" is a list or a table, and a value is a text`,
			`IN:6: the JSON object does not end`,
			`IN:7: something stands behind the JSON object: one row a line`,
			`IN:8: x holds control characters: "\x1b[2J"`,
		}},
		"toml": {"a.toml", "# apps\n[[app]]\nsource = 'a'\n[[ app ]] # again\nname = \"\"\"\n[[app]]\"\"\"\nsource = '#[[app]]'\n[['app']]\nname = 'c'\nsource = ['x']\n", Options{}, []string{
			`IN:2: the row has no name`,
			`IN:8: "source" is a list or a table, and a value is a text`,
		}},
		"references": {"a.csv", "name,source,tag\nA b,a\na-b,b\nc,c,r.example/a-b:1\nd,d,docker.io/library/x\ne,e,x:latest\nf,f,x@sha256:0\ng,g,https://r/x\n\"(!)\",h\n", Options{Template: tags}, []string{
			`IN:3: the reference "r.example/a-b:1" is that of line 2 already: name each image once`,
			`IN:4: the reference "r.example/a-b:1" is that of line 2 already: name each image once`,
			`IN:6: the reference "x:latest" is that of line 5 already: name each image once`,
			`IN:7: tag "x@sha256:0": name a tag, the digest comes from the build`,
			`IN:8: tag "https://r/x": a reference has no scheme, like registry.example.com/name:tag`,
			`IN:9: nothing of the name "(!)" can stand in a reference: give the row a tag`,
		}},
		"kinds": {"a.csv", "name,source\na,a\nb,b\n", Options{Template: kinds}, []string{`IN:3: the reference "r.example/KIND:1" is that of line 2 already, where both are of one kind: name each image once`}},
		"no tags": {"a.csv", "name,source,tag\na,a,\nb,b,r/b\nc,c,\nd,d,\n,x,\n", Options{NeedReference: true}, []string{
			`IN:6: the row has no name`,
			`IN:2: 3 rows have no tag, and --push needs one: give each a tag, or all rows one by --tag-template (lines 2, 4-5)`,
		}},
		"no tag": {"a.csv", "name,source,tag\na,a,r/a\nb,b,\n", Options{NeedReference: true}, []string{`IN:3: the row has no tag, and --push needs one: give it a tag, or all rows one by --tag-template`}},
	} {
		_, bad, err := readText(t, test.file, test.text, test.opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, bad); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsNoInventoryIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"empty.csv":   {"", "is empty"},
		"header.csv":  {"name,path\na,b\n", `has no column "source"`},
		"twice.csv":   {"name,source,Name\n", `names "Name" twice`},
		"only.csv":    {"name,source\n", "has no row"},
		"utf16.csv":   {"\xff\xfen\x00", "UTF-16"},
		"rubbish.csv": {"\x00\x01\x02\xff\xfe\n", "header"},
		"sep.csv":     {"sep=x\nnamexsource\n", "delimiter"},
		"quote.csv":   {"name,\"source\n", "header is no CSV"},
		"a.toml":      {"[app]\nname = 'x'\n", "write [[app]]"},
		"b.toml":      {"[[app]]\nname = 'x'\n[more]\n", `unknown key "more"`},
		"c.toml":      {"[[app]]\nname = 'x\n", ":2: "},
		"d.toml":      {"", "has no row"},
		"a.jsonl":     {"\n\n", "has no row"},
		"list.xlsx":   {"PK", "neither a .csv"},
	} {
		_, _, err := readText(t, name, test.text, Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if _, _, err := readPath(t, filepath.Join(t.TempDir(), "none.csv"), Options{}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a file that is missing: %v", err)
	}
}

func TestLongListsAndLongLinesAreRead(t *testing.T) {
	var text strings.Builder
	text.WriteString("name,source\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "app-%d,apps/%d\n", i, i)
	}
	rows, bad, err := readText(t, "a.csv", text.String(), Options{})
	if err != nil || len(bad) > 0 || len(rows) != 100_000 || rows[99_999].Name != "app-99999" {
		t.Errorf("%d rows, %v, %v", len(rows), bad, err)
	}
	long := `{"name":"` + strings.Repeat("x", maxLine) + `","source":"a"}` + "\n" + `{"name":"a","source":"a"}`
	rows, bad, err = readText(t, "a.jsonl", long, Options{})
	if err != nil || len(bad) != 1 || len(rows) != 1 || !strings.HasPrefix(bad[0], "IN:1: the line has more") {
		t.Errorf("%v, %v, %v", rows, bad, err)
	}
}

func TestFoldersOfRowsNeverMeet(t *testing.T) {
	names := []string{"shop", "Shop", "SHOP", "team/shop", "team-shop", "con", "NUL.txt", "a.", ".a", "-rf", "..", "a:b", "a b", "a-b", "é", "e\u0301", strings.Repeat("x", 64), strings.Repeat("x", 65), "Contoso.Web", "a@b"}
	var text strings.Builder
	text.WriteString("name,source\n")
	for _, n := range names {
		fmt.Fprintf(&text, "%q,x\n", n)
	}
	rows, bad, err := readText(t, "a.csv", text.String(), Options{})
	if err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	seen := map[string]string{}
	for _, r := range rows {
		low := strings.ToLower(r.Folder)
		if other, twice := seen[low]; twice {
			t.Errorf("%q and %q share the folder %q", other, r.Name, r.Folder)
		}
		seen[low] = r.Name
		if kept, _, _ := strings.Cut(r.Folder, "@"); !plain(kept) && r.Name != "con" || len(r.Folder) > 70 || devicePattern.MatchString(r.Folder) {
			t.Errorf("%q has the folder %q", r.Name, r.Folder)
		}
	}
	for i, r := range rows {
		if keeps := i == 0 || r.Name == "Contoso.Web" || r.Name == "team-shop" || r.Name == "a-b" || len(r.Name) == 64; keeps != (r.Folder == r.Name) {
			t.Errorf("%q has the folder %q", r.Name, r.Folder)
		}
	}
}

func TestNamesBecomeRepositories(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "shop", "Shop.Web": "shop.web", "My Shop (2)": "my-shop--2", "team/Shop": "team/shop", "/x//y/": "x/y", "a__b": "a__b", "a___b": "a-b",
		"a..b": "a-b", "_x_": "x", "é": "", "é1": "1", "a\\b": "a-b", "...": "", "a-.b": "a-b", "a--b": "a--b",
	} {
		if got := Repository(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestTemplatesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"r.example/{{.Nam}}:1":       "there is no field Nam: a template has .Name and .Kind",
		"r.example/{{.Name":          "unclosed action",
		"r.example/{{exec \"id\"}}":  `function "exec" not defined`,
		"r.example/apps:{{.Kind}} x": "is not an image reference",
		"https://r/{{.Name}}":        "no scheme",
		"{{range 5000}}x{{end}}":     "longer than 1024 bytes",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	tags, err := ParseTemplate("r.example/{{.Kind}}/{{.Name}}:1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tags.Reference("Team/My Shop", "aspnet-core"); err != nil || got != "r.example/aspnet-core/team/my-shop:1" {
		t.Errorf("got %q, %v", got, err)
	}
}
