package detect_test

import (
	"slices"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func TestSitesOfPHPTellWhatTheyLack(t *testing.T) {
	page := []string{"public/index.php", "<?php echo 1;"}
	for name, c := range map[string]struct {
		files []string
		rule  string
		told  bool
	}{
		"Vite that has not run":        {[]string{"vite.config.js", "", "resources/views/a.blade.php", "<html>@vite('x')"}, "WP1514", true},
		"Vite that has run":            {[]string{"vite.config.js", "", "resources/views/a.blade.php", "<html>@vite('x')", "public/build/manifest.json", "{}"}, "WP1514", false},
		"Vite that no view asks for":   {[]string{"vite.config.js", "", "resources/views/a.blade.php", "<html>"}, "WP1514", false},
		"Mix that has not run":         {[]string{"webpack.mix.js", "", "resources/views/a.blade.php", "<a href={{ mix('x') }}>"}, "WP1514", true},
		"Mix that has run":             {[]string{"webpack.mix.js", "", "resources/views/a.blade.php", "<a href={{ mix('x') }}>", "public/mix-manifest.json", "{}"}, "WP1514", false},
		"the folder of the site":       {nil, "WP1513", true},
		"a page at the root":           {[]string{"index.html", "<html></html>"}, "WP1513", false},
		"a password of WordPress":      {[]string{"wp-config.php", "<?php\ndefine( 'DB_PASSWORD', 'hunter2x' );\n"}, "WP1301", true},
		"the sample of WordPress":      {[]string{"wp-config.php", "<?php\ndefine('DB_PASSWORD', 'password_here');\ndefine('AUTH_KEY', 'put your unique phrase here');\n"}, "WP1301", false},
		"a password that is empty":     {[]string{"inc/db.php", "<?php\n$password = \"\";\n"}, "WP1301", false},
		"a password in an array":       {[]string{"application/config/database.php", "<?php\n'password' => 'hunter2x',\n"}, "WP1301", true},
		"a password from outside":      {[]string{"config/database.php", "<?php\n'password' => env('DB_PASSWORD', ''),\n"}, "WP1301", false},
		"a password that is a comment": {[]string{"config.php", "<?php\n// $password = 'hunter2x';\n"}, "WP1301", false},
		"a database on the machine":    {[]string{"wp-config.php", "<?php\ndefine('DB_HOST', 'localhost');\n"}, "WP1303", true},
		"a database elsewhere":         {[]string{"wp-config.php", "<?php\ndefine('DB_HOST', 'db.example.com');\n"}, "WP1303", false},
		"a null of Laravel":            {[]string{".env", "REDIS_PASSWORD=null\nMAIL_PASSWORD=\n"}, "WP1301", false},
		"a secret of Laravel":          {[]string{".env", "REDIS_PASSWORD=hunter2x\n"}, "WP1301", true},
		"a locale of Palau":            {[]string{"intl/x.ini", "en-PW=MMMM y\n"}, "WP1301", false},
		"what php.ini has by itself":   {[]string{"php/php-dev.ini", "SMTP = localhost\n"}, "WP1303", false},
		"what another .ini says":       {[]string{"mail.ini", "SMTP = localhost\n"}, "WP1303", true},
		"a registry of PEAR":           {[]string{"lib/php/.channels/x.reg", "a:6:{s:4:\"name\"}"}, "WP1714", false},
		"keys for the registry":        {[]string{"setup/x.reg", "Windows Registry Editor Version 5.00\r\n"}, "WP1714", true},
		"a script of Azure":            {[]string{"deploy.cmd", "SET KUDU_SYNC_CMD=D:\\home\\npm\\kuduSync.cmd\r\n"}, "WP1771", false},
		"a service of Windows":         {[]string{"install.cmd", "sc create x binPath= x.exe depend= Tcpip/Afd\r\n"}, "WP1718", false},
		"a service that is not there":  {[]string{"install.cmd", "sc create x binPath= x.exe depend= Tcpip/MSMQ\r\n"}, "WP1718", true},
		"data of Visual Studio":        {[]string{".vs/slnx.sqlite", "x"}, "WP1695", false},
		"data of the application":      {[]string{"data/x.sqlite", "x"}, "WP1695", true},
	} {
		if r := look(t, files(append(c.files, page...)...)); r.App.Kind != detect.KindPHP || slices.Contains(rules(r), c.rule) != c.told {
			t.Errorf("%s: %s %v, want %s %t", name, r.App.Kind, rules(r), c.rule, c.told)
		}
	}
}

func TestPackagesThatHaveToBeBuiltAreSource(t *testing.T) {
	for name, c := range map[string]struct {
		files   []string
		kind    detect.Kind
		becomes detect.Kind
	}{
		"NestJS":                  {[]string{"package.json", `{"scripts":{"build":"nest build","start":"nest start"},"dependencies":{"@nestjs/core":"10"}}`, "src/main.ts", ""}, detect.KindSource, detect.KindNode},
		"NestJS that is built":    {[]string{"package.json", `{"scripts":{"build":"nest build","start":"node dist/main"},"dependencies":{"@nestjs/core":"10"}}`, "src/main.ts", "", "dist/main.js", ""}, detect.KindNode, ""},
		"Next.js":                 {[]string{"package.json", `{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}`, "app/page.tsx", ""}, detect.KindSource, detect.KindNode},
		"Express in TypeScript":   {[]string{"package.json", `{"scripts":{"start":"ts-node src/a.ts"},"dependencies":{"express":"4"}}`, "tsconfig.json", "{}", "src/a.ts", ""}, detect.KindSource, detect.KindNode},
		"a library of Express":    {[]string{"package.json", `{"scripts":{"build":"tsc"},"peerDependencies":{"express":"4"}}`, "src/a.ts", ""}, detect.KindUnknown, ""},
		"scripts of JavaScript":   {[]string{"package.json", `{"scripts":{"build":"webpack"},"dependencies":{"express":"4"}}`, "src/a.js", ""}, detect.KindUnknown, ""},
		"a front end":             {[]string{"package.json", `{"scripts":{"build":"ng build"},"dependencies":{"express":"4"}}`, "src/main.ts", ""}, detect.KindSource, detect.KindStatic},
		"the front end of a site": {[]string{"package.json", `{"scripts":{"build":"next build"},"dependencies":{"next":"15"}}`, "app/page.tsx", "", "index.php", "<?php"}, detect.KindPHP, ""},
	} {
		if r := look(t, files(c.files...)); r.App.Kind != c.kind || r.App.Becomes != c.becomes {
			t.Errorf("%s: %s %s, want %s %s", name, r.App.Kind, r.App.Becomes, c.kind, c.becomes)
		}
	}
}
