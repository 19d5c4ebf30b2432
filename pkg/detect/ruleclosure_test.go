package detect_test

import (
	"io/fs"
	"testing"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
)

// packed is a folder of written binaries and other files, as pack makes it.
func packed(parts ...any) app {
	return func(t *testing.T) fs.FS { return pack(t, parts...) }
}

// casesOfClosure are those of the rules about what an application loads.
// TestRulesOfTheClosureFireForTheirCauseAlone has more near misses of each.
func casesOfClosure(*testing.T) map[string]ruleCase {
	const deps = `{"runtimeTarget":{"name":"t"},"targets":{"t":{"Acme.Tax/2.0.0":{"runtime":{"lib/net8.0/Acme.Tax.dll":{}}}}},"libraries":{}}`
	declares := func(native ...string) winbin.Assembly {
		a := netfx()
		a.Native = native
		return a
	}
	calls := func(lines ...string) winbin.Assembly {
		a := netfx()
		a.Code = map[string][]string{"Program::Main": lines}
		return a
	}
	imports := func(what ...string) winbin.Native {
		return winbin.Native{Machine: "x86", Imports: append([]string{"kernel32.dll!ExitProcess"}, what...)}
	}
	library := winbin.Native{DLL: true, Exports: []string{"f"}}
	needy := winbin.Native{DLL: true, Exports: []string{"f"}, Imports: []string{"msvcp120.dll!g"}}
	const byProgID = "call [mscorlib]System.Type::GetTypeFromProgID(string) void"
	learned := func(parts ...any) app {
		return func(t *testing.T) fs.FS {
			files := map[string]binary{"System32/kernel32.dll": exporting("ExitProcess", "Sleep")}
			return onLearned{pack(t, parts...), []detect.Base{learnedImage(t, detect.FamilyNanoServer, "ltsc2022", files), learnedImage(t, detect.FamilyServerCore, "ltsc2022", files)}}
		}
	}
	at64 := func(what ...string) winbin.Native { return winbin.Native{Imports: what} }
	return map[string]ruleCase{
		"WP1417": {learned("Shop.exe", at64("acme.dll!f")), learned("Shop.exe", at64("acme.dll!f"), "acme.dll", library)},
		"WP1418": {learned("Shop.exe", declares("acme.dll!f")), learned("Shop.exe", declares("acme.dll!f"), "acme.dll", library)},
		"WP1419": {learned("Shop.exe", at64("kernel32.dll!Newest")), learned("Shop.exe", at64("kernel32.dll!Sleep"))},
		"WP1420": {learned("Shop.exe", declares("kernel32.dll!Newest")), learned("Shop.exe", declares("kernel32.dll!Sleep"))},
		"WP1120": {packed("Shop.exe", netfx("Acme.Printing 2.1.0.0"+acmeKey)), packed("Shop.exe", netfx("Acme.Printing 2.1.0.0"+acmeKey), "Acme.Printing.dll", dll("Acme.Printing", "2.1.0.0"))},
		"WP1121": {packed("Shop.exe", netfx("Microsoft.Whatever 1.0.0.0 31bf3856ad364e35")), packed("Shop.exe", netfx("System.Web.Extensions 4.0.0.0 31bf3856ad364e35"))},
		"WP1122": {packed("Shop.exe", netfx("Plain 1.0.0.0 null")), packed("Shop.exe", netfx("Plain 1.0.0.0 null"), "plain.dll", dll("Plain", "3.0.0.0"))},
		"WP1123": {packed("Shop.exe", netfx("Acme.Json 6.0.0.0"+acmeKey), "Acme.Json.dll", dll("Acme.Json", "13.0.0.0")), packed("Shop.exe", netfx("Acme.Json 6.0.0.0"+acmeKey), "Acme.Json.dll", dll("Acme.Json", "6.0.0.0"))},
		"WP1124": {packed("Shop.dll", core("Acme.Tax 2.0.0.0 null"), "Shop.runtimeconfig.json", runtimeConfig), packed("Shop.dll", core("Acme.Tax 2.0.0.0 null"), "Shop.runtimeconfig.json", runtimeConfig, "Acme.Tax.dll", dll("Acme.Tax", "2.0.0.0"))},
		"WP1125": {packed("Shop.dll", core(), "Shop.runtimeconfig.json", runtimeConfig, "Shop.deps.json", deps), packed("Shop.dll", core(), "Shop.runtimeconfig.json", runtimeConfig, "Shop.deps.json", deps, "Acme.Tax.dll", dll("Acme.Tax", "2.0.0.0"))},
		"WP1126": {packed("Shop.dll", core("Microsoft.Extensions.Hosting 8.0.0.0"), "Shop.runtimeconfig.json", runtimeConfig), packed("Shop.dll", core("Microsoft.Extensions.Hosting 8.0.0.0"), "Shop.runtimeconfig.json", runtimeConfig, "Microsoft.Extensions.Hosting.dll", dll("Microsoft.Extensions.Hosting", "8.0.0.0"))},
		"WP1411": {packed("Shop.exe", imports("msvcr90.dll!malloc"), "MSVCR90.dll", library), packed("Shop.exe", imports("msvcr90.dll!malloc"), "MSVCR90.dll", library, "Microsoft.VC90.CRT.manifest", "<assembly/>")},
		"WP1412": {packed("Shop.exe", declares("msvfw32.dll!ICOpen")), packed("Shop.exe", declares("netapi32.dll!NetUserAdd"))},
		"WP1413": {packed("Shop.exe", declares("oci.dll!OCIEnvCreate")), packed("Shop.exe", declares("oci.dll!OCIEnvCreate"), "instantclient/oci.dll", library)},
		"WP1658": {packed("default.asp", "<% x = 1 %>", "bin/Acme.dll", winbin.Native{Machine: "x86", DLL: true, Exports: []string{"DllRegisterServer"}}), packed("default.asp", "<% x = 1 %>", "bin/Acme.dll", library)},
		"WP1414": {packed("Shop.exe", calls("ldstr MSXML2.DOMDocument.4.0", byProgID)), packed("Shop.exe", calls("ldstr Scripting.Dictionary", byProgID))},
		"WP1415": {packed("Shop.exe", calls("ldstr Acme.Printer", byProgID)), packed("Shop.exe", calls("ldstr Scripting.Dictionary", byProgID))},
		"WP1416": {packed("Shop.exe", declares("acme.dll!f"), "acme.dll", needy), packed("Shop.exe", netfx(), "acme.dll", needy)},
	}
}
