package detect_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// planted are the secrets of the files below, one for each place.
const (
	webConfigWithSecrets = `<configuration>
  <connectionStrings>
    <add name="Main" connectionString="Data Source=sql01;Initial Catalog=Shop;User ID=sa;Password=PLANTED-01;"/>
    <add name="Quoted" connectionString="Server=sql01;Pwd='PLANTED-02;x';Database=a"/>
    <add name="EF" connectionString="metadata=res://*/M.csdl;provider=System.Data.SqlClient;provider connection string=&quot;data source=sql01;password=PLANTED-03&quot;"/>
    <add name="Url" connectionString="mongodb://user:PLANTED-04@mongo/db"/>
  </connectionStrings>
  <appSettings file="more.config">
    <add key="SmtpPassword" value="PLANTED-05"/>
    <add key="ApiKey" value="PLANTED-06"/>
    <add key="Queue" value="amqp://guest:PLANTED-07@rabbit/"/>
    <add key="Storage" value="DefaultEndpointsProtocol=https;AccountName=a;AccountKey=PLANTED-08;"/>
    <add key="Share" value="\\server\share;password=PLANTED-09"/>
    <add key="Folder" value="D:\data;pwd=PLANTED-10"/>
  </appSettings>
  <system.web>
    <identity impersonate="true" userName="CORP\svc" password="PLANTED-11"/>
    <machineKey validationKey="PLANTED-12" decryptionKey="PLANTED-13"/>
    <sessionState mode="SQLServer" sqlConnectionString="data source=sql01;password=PLANTED-14"/>
  </system.web>
  <system.net><mailSettings><smtp><network host="mail" userName="u" password="PLANTED-15"/></smtp></mailSettings></system.net>
  <system.webServer>
    <rewrite><rules><rule><action type="Rewrite" url="http://u:PLANTED-16@other/{R:1}"/></rule></rules></rewrite>
    <aspNetCore processPath="dotnet" arguments=".\Shop.dll --password=PLANTED-17">
      <environmentVariables><environmentVariable name="JWT__Secret" value="PLANTED-18"/></environmentVariables>
    </aspNetCore>
  </system.webServer>
</configuration>`
	brokenWithSecrets   = "<configuration><appSettings><add key=\"Password\" value=\"a&PLANTED-19;\"/></appSettings></configuration>"
	settingsWithSecrets = `{
  // the real ones
  "ConnectionStrings": { "Db": "Server=db;User Id=u;Password=PLANTED-20" },
  "Jwt": { "Secret": "PLANTED-21" },
  "Mail": { "Password": "PLANTED-22" },
  "Azure": { "AccountKey": "PLANTED-23" },
  "Kestrel": { "Endpoints": { "Http": { "Url": "http://u:PLANTED-24@*:5001" } } },
}`
	brokenJSONWithSecrets = `{ "Password": PLANTED-25 }`
)

func TestSecretsAreFoundAndNeverPrinted(t *testing.T) {
	app := files("Default.aspx", page, "web.config", webConfigWithSecrets, "sub/web.config", brokenWithSecrets,
		"appsettings.json", settingsWithSecrets, "appsettings.Production.json", brokenJSONWithSecrets)
	r := look(t, app)
	if out := marshal(t, r); bytes.Contains(out, []byte("PLANTED")) {
		i := bytes.Index(out, []byte("PLANTED"))
		t.Errorf("a secret was printed: ...%s...", out[max(0, i-200):i+12])
	}
	var found []string
	for _, f := range r.Facts {
		if f.Key == "secret" {
			found = append(found, f.Value)
		}
	}
	for _, want := range []string{
		"connection string Main, password", "connection string Quoted, pwd", "connection string EF, password",
		"connection string Url, in its URL", "SmtpPassword", "ApiKey", "Queue (in its URL)", "connection string Storage, accountkey",
		"system.web/identity @password", "machineKey validationKey", "system.net/mailSettings/smtp/network @password",
		"aspNetCore arguments", "JWT:Secret", "connection string Db, password", "Jwt:Secret", "Mail:Password", "Azure:AccountKey",
	} {
		if !slices.Contains(found, want) {
			t.Errorf("not found: %s; have %q", want, found)
		}
	}
	if !slices.ContainsFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1301" && f.Level == detect.LevelError }) {
		t.Error("no finding for secrets")
	}
}

func TestServerOfAConnectionIsToldWithoutItsUser(t *testing.T) {
	for server, want := range map[string]string{
		"user:pw@127.0.0.1/db": "Main: server ***@127.0.0.1/db",
		"admin@localhost:5432": "Main: server ***@localhost:5432",
		"127.0.0.1,1433":       "Main: server 127.0.0.1,1433",
		`.\SQL2019`:            `Main: server .\SQL2019`,
		"[::1]:5432":           "", // not taken apart
		"db01:5432":            "",
		"10.0.0.1/localhost":   "",
	} {
		r := look(t, files("Default.aspx", page, "web.config", `<configuration><connectionStrings><add name="Main" connectionString="Server=`+server+`"/></connectionStrings></configuration>`))
		got := ""
		for _, f := range r.Facts {
			if f.Key == "local-server" {
				got = f.Value
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", server, got, want)
		}
	}
}

func TestSettingsThatOnlyLookLikeSecretsAreLeftAlone(t *testing.T) {
	r := look(t, files("Default.aspx", page, "web.config", `<configuration>
  <connectionStrings><add name="Token" connectionString="Server=s;Password=#{DbPassword}#"/></connectionStrings>
  <appSettings>
    <add key="PasswordMinLength" value="12"/>
    <add key="ResetPasswordUrl" value="/reset"/>
    <add key="RequirePassword" value="true"/>
    <add key="ApiKey" value="${API_KEY}"/>
    <add key="MonkeyBusiness" value="bananas"/>
    <add key="Secret" value=""/>
    <add key="TokenEndpoint" value="https://login.example.com:443/a@b"/>
    <add key="PasswordLength" value="16"/>
    <add key="Bypass" value="/health"/>
    <add key="Compass" value="north"/>
    <add key="Assembly" value="System.Web, Version=4.0.0.0, PublicKeyToken=b03f5f7f11d50a3a"/>
    <add key="Help" value="/reset?tokenType=jwt"/>
    <add key="Cache" value="redis:6379,ssl=true"/>
    <add key="Git" value="src/app@1.2"/>
    <add key="Source" value="team/app@main"/>
    <add key="Ping" value="ping -u host -p 8080"/>
    <add key="Scheme" value="Basic authentication"/>
    <add key="clientCredentialType" value="Certificate"/>
    <add key="Keyboard:Key" value="enter"/>
  </appSettings></configuration>`))
	for _, f := range r.Facts {
		if f.Key == "secret" {
			t.Errorf("called a secret: %s", f.Value)
		}
	}
}

// exeWithArguments is a site whose web.config starts a program with arguments.
func exeWithArguments(t *testing.T, arguments string) detect.Report {
	t.Helper()
	return look(t, with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments="`+arguments+`"/></system.webServer></configuration>`),
		"Orders.dll", "aspnet-core/Orders.dll", "Orders.exe", "aspnet-core/Orders.exe", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json"))
}

func TestSecretAmongArgumentsDropsThemAll(t *testing.T) {
	for _, args := range []string{
		`--password PLANTED`, `--ApiKey PLANTED -p t9`, `/Token PLANTED`, `--Smtp:Password PLANTED`, `--password &quot;PLANTED two&quot;`,
		`--db amqp://u:a/PLANTED@host`, `--connection Server=db;Password=PLANTED`, `--password=PLANTED`, `-pwd PLANTED`, `--pw PLANTED`, `--access-token  PLANTED`,
	} {
		t.Run(args, func(t *testing.T) {
			r := exeWithArguments(t, `.\Orders.dll --mode fast `+args)
			if out := marshal(t, r); bytes.Contains(out, []byte("PLANTED")) || bytes.Contains(out, []byte("t9")) {
				t.Errorf("a secret was printed: %s", out)
			}
			if r.App.Program == nil || len(r.App.Program.Arguments) != 0 {
				t.Errorf("arguments were kept: %+v", r.App.Program)
			}
			if !slices.Contains(rules(r), "WP1301") || !slices.ContainsFunc(r.Facts, func(f detect.Fact) bool { return f.Key == "arguments-dropped" }) {
				t.Errorf("neither finding nor fact: %v", rules(r))
			}
		})
	}
}

func TestArgumentsAreSplitAsWindowsDoes(t *testing.T) {
	for args, want := range map[string][]string{
		`--mode fast`:                                                   {"--mode", "fast"},
		`--root &quot;C:\a b&quot; x`:                                   {"--root", `C:\a b`, "x"},
		`&quot;a\\&quot; \&quot;b\&quot; &quot;&quot;`:                  {`a\`, `"b"`, ""},
		`&quot;he said &quot;&quot;hi&quot;&quot;&quot;`:                {`he said "hi"`},
		`%LAUNCHER_ARGS% x`:                                             {"x"},
		`--PasswordLength 12 --TokenEndpoint http://login/x --tokens 5`: {"--PasswordLength", "12", "--TokenEndpoint", "http://login/x", "--tokens", "5"},
	} {
		t.Run(args, func(t *testing.T) {
			r := exeWithArguments(t, `.\Orders.dll `+args)
			if r.App.Program == nil || !slices.Equal(r.App.Program.Arguments, want) {
				t.Errorf("got %+v, want %q", r.App.Program, want)
			}
		})
	}
	r := look(t, with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath="%LAUNCHER_PATH%" arguments="%LAUNCHER_ARGS%"/></system.webServer></configuration>`),
		"Orders.dll", "aspnet-core/Orders.dll", "Orders.exe", "aspnet-core/Orders.exe", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json"))
	if r.App.Program == nil || r.App.Program.Path != "Orders.exe" || len(r.App.Program.Arguments) != 0 {
		t.Errorf("placeholders of the SDK: got %+v", r.App.Program)
	}
}

func TestSecretsInValuesAreFoundAndNeverPrinted(t *testing.T) {
	for name, c := range map[string]struct{ web, json, want string }{
		"command line":                 {web: `<appSettings><add key="Tool" value="D:\tool.exe --token PLANTED"/></appSettings>`, want: "Tool (in its command line)"},
		"net use, password first":      {web: `<appSettings><add key="cmd" value="net use X: \\srv\share PLANTED /user:dom\u"/></appSettings>`},
		"user and password of sqlcmd":  {web: `<appSettings><add key="Job" value="sqlcmd -S db -U sa -P PLANTED -i a.sql"/></appSettings>`, want: "Job (in its command line)"},
		"user and password of psexec":  {web: `<appSettings><add key="Job" value="psexec -u dom\u -p PLANTED cmd"/></appSettings>`, want: "Job (in its command line)"},
		"user of curl":                 {web: `<appSettings><add key="Job" value="curl -u admin:PLANTED http://x/"/></appSettings>`, want: "Job (in its command line)"},
		"header":                       {web: `<appSettings><add key="Extra" value="Authorization: Basic PLANTED"/></appSettings>`, want: "Extra (in its command line)"},
		"signature of a URL":           {web: `<appSettings><add key="Blob" value="https://a.blob.core.windows.net/c?sv=2020&amp;sig=PLANTED"/></appSettings>`, want: "Blob (in its command line)"},
		"logon of Oracle":              {web: `<appSettings><add key="OracleLogon" value="scott/PLANTED@orcl"/></appSettings>`, want: "OracleLogon (in its logon)"},
		"password in German":           {web: `<appSettings><add key="Kennwort" value="PLANTED"/></appSettings>`, want: "Kennwort"},
		"password in French":           {web: `<appSettings><add key="MotDePasse" value="PLANTED"/></appSettings>`, want: "MotDePasse"},
		"share with a user":            {web: `<appSettings><add key="Share" value="\\nas\share /user:bob PLANTED"/></appSettings>`, want: "Share (in its command line)"},
		"folder":                       {web: `<appSettings><add key="Logs" value="D:\logs\password PLANTED\x"/></appSettings>`},
		"slash in a URL's user":        {web: `<connectionStrings><add name="Q" connectionString="Data Source=amqp://user:a/PLANTED@host"/></connectionStrings>`, want: "connection string Q, in its URL"},
		"at sign in a password":        {web: `<connectionStrings><add name="Q" connectionString="Data Source=amqp://user:p@PLANTED@host"/></connectionStrings>`, want: "connection string Q, in its URL"},
		"Oracle":                       {web: `<connectionStrings><add name="O" connectionString="Server=scott/PLANTED@ora"/></connectionStrings>`, want: "connection string O, in its server"},
		"user before a local server":   {web: `<connectionStrings><add name="L" connectionString="Data Source=user:PLANTED@127.0.0.1/db;Integrated Security=SSPI"/></connectionStrings>`, want: "connection string L, in its server"},
		"at sign before a server":      {web: `<connectionStrings><add name="L" connectionString="Server=tcp:user:p@PLANTED@db01,1433"/></connectionStrings>`, want: "connection string L, in its server"},
		"name of a connection string":  {web: `<connectionStrings><add name="x password=PLANTED" connectionString="Server=(localdb)\x;Password=PLANTED;Integrated Security=true"/></connectionStrings>`},
		"spoken in such a name":        {web: `<connectionStrings><add name="password PLANTED" connectionString="Server=.;Password=PLANTED"/></connectionStrings>`},
		"such a name in JSON":          {json: `{"ConnectionStrings": {"pwd=PLANTED": "Server=localhost:5432;Password=x"}}`},
		"name of a setting":            {web: `<appSettings><add key="Password=PLANTED" value="D:\x"/></appSettings>`},
		"error page":                   {web: `<system.webServer><httpErrors defaultPath="/e.aspx?password=PLANTED"/></system.webServer>`},
		"Redis setting":                {json: `{"Cache": "redis:6379,password=PLANTED,ssl=true"}`, want: "Cache (password in its value)"},
		"Redis connection":             {json: `{"ConnectionStrings": {"Redis": "redis:6379,password=PLANTED"}}`, want: "connection string Redis, password"},
		"pass":                         {json: `{"Smtp": {"Pass": "PLANTED"}}`, want: "Smtp:Pass"},
		"camel-case pass":              {web: `<appSettings><add key="MailPass" value="PLANTED"/></appSettings>`, want: "MailPass"},
		"key of an issuer":             {json: `{"JwtIssuerOptions": {"SecretKey": "PLANTED"}}`, want: "JwtIssuerOptions:SecretKey"},
		"signing key of an issuer":     {json: `{"IssuerSigningKey": "PLANTED"}`, want: "IssuerSigningKey"},
		"security key":                 {json: `{"SecurityKey": "PLANTED"}`, want: "SecurityKey"},
		"password in a section":        {json: `{"Security": {"Password": "PLANTED"}}`, want: "Security:Password"},
		"key of tokens":                {json: `{"Jwt": {"Key": "PLANTED"}}`, want: "Jwt:Key"},
		"decryption key alone":         {web: `<system.web><machineKey decryptionKey="PLANTED"/></system.web>`, want: "machineKey decryptionKey"},
		"text of an element":           {web: `<mail><password>PLANTED</password></mail>`, want: "mail/password"},
		"setting of System.Config":     {web: `<applicationSettings><My.Settings><setting name="DbPassword" serializeAs="String"><value>PLANTED</value></setting></My.Settings></applicationSettings>`, want: "DbPassword"},
		"connection string of log4net": {web: `<log4net><appender><connectionString value="Server=s;Password=PLANTED"/></appender></log4net>`, want: "connection string log4net/appender/connectionString, password"},
		"value of an element":          {web: `<log4net><appender><password value="PLANTED"/></appender></log4net>`, want: "log4net/appender/password"},
		"property by name":             {web: `<objects><object><property name="Password" value="PLANTED"/></object></objects>`, want: "Password"},
		"section of its own":           {web: `<mySection><add key="ApiKey" value="PLANTED"/></mySection>`, want: "ApiKey"},
		"passphrase":                   {web: `<connectionStrings><add name="S" connectionString="Server=s;Passphrase=PLANTED"/></connectionStrings>`, want: "connection string S, passphrase"},
		"pass in a connection":         {web: `<connectionStrings><add name="S" connectionString="Server=s;Pass=PLANTED"/></connectionStrings>`, want: "connection string S, pass"},
	} {
		t.Run(name, func(t *testing.T) {
			app := files("Default.aspx", page, "web.config", "<configuration>"+c.web+"</configuration>")
			if c.json != "" {
				app = files("Default.aspx", page, "appsettings.json", c.json)
			}
			r := look(t, app)
			if out := marshal(t, r); bytes.Contains(out, []byte("PLANTED")) {
				t.Errorf("a secret was printed: %s", out)
			}
			if c.want != "" && !slices.ContainsFunc(r.Facts, func(f detect.Fact) bool { return f.Key == "secret" && f.Value == c.want }) {
				t.Errorf("no secret %q in %v", c.want, r.Facts)
			}
		})
	}
}

// Texts in a language speak of passwords, and hold none.
func TestTextsOfAnApplicationHoldNoSecrets(t *testing.T) {
	const line = "login.password=Kennwort\ninstallation.setKeyStorePassword.title=Set Key Store Password\n"
	for name, want := range map[string]bool{
		"ApplicationResources.properties": false, "ApplicationResources_de.properties": false, "application_messages.properties": false, "config_de_CH.properties": false,
		"application.properties": true, "db-config.properties": true, "application-prod.properties": true,
	} {
		r := look(t, fstest.MapFS{"web.config": {Data: []byte("<configuration/>")}, "conf/" + name: {Data: []byte(line)}})
		if got := slices.Contains(rules(r), "WP1301"); got != want {
			t.Errorf("%s: %v, want a secret: %t", name, rules(r), want)
		}
	}
}
