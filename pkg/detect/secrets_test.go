package detect_test

import (
	"bytes"
	"slices"
	"testing"

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
  </appSettings></configuration>`))
	for _, f := range r.Facts {
		if f.Key == "secret" {
			t.Errorf("called a secret: %s", f.Value)
		}
	}
}
