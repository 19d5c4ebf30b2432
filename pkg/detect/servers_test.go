package detect_test

import (
	"slices"
	"testing"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/winbin"
)

func TestSettingsOfServersAreTold(t *testing.T) {
	catalina := jarOf(t, "org/apache/catalina/util/ServerInfo.properties", "server.number=7.0.75.0\n", "a/B.class", "class:6")
	serverXML := func(inner string) string {
		return `<Server port="8005"><Service name="Catalina"><Connector port="8080"/><Engine name="Catalina"><Host name="localhost" appBase="webapps">` + inner + `</Host></Engine></Service></Server>`
	}
	standalone := func(inner string) []string {
		return []string{"jboss-modules.jar", jarOf(t, "a/B.class", "class:8"), "standalone/configuration/standalone.xml", "<server><datasources><datasource>" + inner + "</datasource></datasources></server>"}
	}
	for name, c := range map[string]struct {
		files []string
		rule  string
		told  bool
	}{
		"an application on a drive":        {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(`<Context path="" docBase="D:\sites\shop"/>`)}, "WP1306", true},
		"an application in the folder":     {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(`<Context path="" docBase="shop"/>`)}, "WP1306", false},
		"a database on the machine":        {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "conf/context.xml", `<Context><Resource name="jdbc/shop" url="jdbc:mysql://localhost:3306/shop" username="shop"/></Context>`}, "WP1303", true},
		"the name of the host":             {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML("")}, "WP1303", false},
		"a password of the manager":        {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "conf/tomcat-users.xml", `<tomcat-users><user username="admin" password="hunter2x" roles="manager-gui"/></tomcat-users>`}, "WP1301", true},
		"a password that has to be set":    {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "conf/tomcat-users.xml", `<tomcat-users><user username="admin" password="&lt;must-be-changed&gt;" roles="manager-gui"/></tomcat-users>`}, "WP1301", false},
		"Tomcat older than the table":      {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML("")}, "WP1509", true},
		"a Tomcat with support":            {[]string{"lib/catalina.jar", jarOf(t, "org/apache/catalina/util/ServerInfo.properties", "server.number=9.0.90\n"), "conf/server.xml", serverXML("")}, "WP1509", false},
		"an application that draws":        {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "webapps/a/WEB-INF/lib/jfreechart-1.jar", "x"}, "WP1511", true},
		"a class that draws":               {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "webapps/a/WEB-INF/classes/m/M.class", string(fixtures.Class("m/M", 8)) + "java/awt/Font"}, "WP1511", true},
		"the examples of Tomcat draw":      {[]string{"lib/catalina.jar", catalina, "conf/server.xml", serverXML(""), "webapps/examples/WEB-INF/classes/m/M.class", string(fixtures.Class("m/M", 8)) + "java/awt/Font"}, "WP1511", false},
		"a data source of WildFly":         {standalone("<connection-url>jdbc:postgresql://127.0.0.1/x</connection-url>"), "WP1303", true},
		"its password":                     {standalone("<security><user-name>x</user-name><password>hunter2x</password></security>"), "WP1301", true},
		"the example of WildFly":           {standalone("<connection-url>jdbc:h2:mem:test</connection-url><security><user-name>sa</user-name><password>sa</password></security>"), "WP1301", false},
		"a password from outside":          {standalone("<security><password>${env.DB_PASSWORD}</password></security>"), "WP1301", false},
		"a web archive that draws":         {[]string{"a.war", jarOf(t, "WEB-INF/web.xml", "<web-app/>", "WEB-INF/lib/jasperreports-6.jar", "x")}, "WP1511", true},
		"a web archive that does not draw": {[]string{"a.war", jarOf(t, "WEB-INF/web.xml", "<web-app/>", "WEB-INF/lib/jackson-2.jar", "x")}, "WP1511", false},
	} {
		if r := look(t, files(c.files...)); slices.Contains(rules(r), c.rule) != c.told {
			t.Errorf("%s: %s %v, want %s %t", name, r.App.Kind, rules(r), c.rule, c.told)
		}
	}
}

func TestVersionsBeforeTheTableHaveEndedToo(t *testing.T) {
	for version, told := range map[string]bool{"2.6": true, "2.7": true, "3": false, "3.4": true, "3.8.1": true, "3.11": false, "3.14": false, "4.0": false} {
		if r := look(t, files("main.py", "", "requirements.txt", "", ".python-version", version)); slices.Contains(rules(r), "WP1509") != told {
			t.Errorf("Python %s: %v, want told %t", version, rules(r), told)
		}
	}
}

// OpenSSL in a server shows a message where it fails without a console; a program of one's
// own may do so any time.
func TestMessagesOfServersAreNoFinding(t *testing.T) {
	exe, err := winbin.Native{Imports: []string{"USER32.dll!MessageBoxA", "KERNEL32.dll!Sleep"}}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if r := look(t, files("nginx.exe", string(exe), "conf/nginx.conf", "listen 80;")); r.App.Kind != "nginx" || slices.Contains(rules(r), "WP1008") {
		t.Errorf("nginx: %s %v", r.App.Kind, rules(r))
	}
	if r := look(t, files("feed.exe", string(exe))); !slices.Contains(rules(r), "WP1008") {
		t.Errorf("a program: %s %v", r.App.Kind, rules(r))
	}
}
