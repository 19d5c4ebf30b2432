package detect_test

import "testing"

// load declares native functions: "dll", "function".
func load(dll, function string) string {
	return `[DllImport("` + dll + `")] public static extern int ` + function + `();`
}

// text is a string of code.
func text(s string) string { return `public static string S() { return @"` + s + `"; }` }

// made is code that makes an object or calls something.
func made(s string) string { return `public static object M() { return ` + s + `; }` }

// does is code that does something.
func does(s string) string { return `public static void D() { ` + s + `; }` }

// ownCode are the rules that the code of a program fires without anything else.
var ownCode = []snippet{
	{"WP1619", does(`System.Windows.Forms.MessageBox.Show("x")`), made(`System.Windows.Forms.Cursors.Arrow`)},
	{"WP1620", load("wtsapi32", "WTSSendMessageW"), load("wtsapi32", "WTSOpenServerW")},
	{"WP1621", does(`System.Windows.Forms.SendKeys.SendWait("x")`), made(`System.Windows.Forms.Keys.A`)},
	{"WP1622", does(`Microsoft.Win32.SystemEvents.SessionEnding += (a, b) => { }`), made(`Microsoft.Win32.PowerModes.Resume`)},
	{"WP1623", text("Excel.Application"), text("an Excel.Application is not needed")},
	{"WP1624", text("Shell.Application"), text("Shell.Applications")},
	{"WP1625", made(`new System.Windows.Forms.WebBrowser()`), made(`System.Windows.Forms.Keys.B`)},
	{"WP1628", load("mfplat", "MFStartup"), load("mfplatform", "MFStartup")},
	{"WP1629", does(`new System.Media.SoundPlayer("x").Play()`), does(`System.Console.Beep()`)},
	{"WP1631", load("opengl32", "glBegin"), load("opengl", "glBegin")},
	{"WP1632", load("windows.ai.machinelearning.dll", "WinMLCreateRuntime"), load("machinelearning.own.dll", "WinMLCreateRuntime")},
	{"WP1633", load("nvcuda", "cuInit"), load("cuda.own", "cuInit")},
	{"WP1634", made(`new System.Drawing.Font("Arial", 8)`), made(`System.Drawing.Color.Red`)},
	{"WP1643", made(`new System.Drawing.Printing.PrintDocument()`), made(`System.Drawing.Color.Blue`)},
	{"WP1644", load("winscard", "SCardConnectW"), load("setupapi", "SetupOpenInfFileW")},
	{"WP1645", made(`new System.IO.Ports.SerialPort()`), made(`System.IO.Ports.Parity.Even`)},
	{"WP1647", text("select * from Win32_BaseBoard"), text("select * from Win32_Process")},
	{"WP1649", text(`.\private$\orders`), text(`a private$ share`)},
	{"WP1650", text("FormatName:MULTICAST=234.1.1.1:8001"), text("MULTICAST=234.1.1.1")},
	{"WP1656", load("ole32", "CoCreateInstanceEx"), load("ole32", "CoCreateInstance")},
	{"WP1665", load("advapi32", "LogonUserW"), load("advapi32", "GetUserNameW")},
	{"WP1666", text("LDAP://dc=example,dc=com"), text("see ldap: the old way")},
	{"WP1669", load("netapi32", "NetUserAdd"), load("netapi32", "NetUserGetInfo")},
	{"WP1670", made(`new System.Security.Cryptography.X509Certificates.X509Store()`), made(`new System.Security.Cryptography.X509Certificates.X509Certificate2()`)},
	{"WP1674", does(`System.Security.Cryptography.ProtectedData.Protect(null, null, System.Security.Cryptography.DataProtectionScope.LocalMachine)`), does(`System.Security.Cryptography.SHA256.Create()`)},
	{"WP1675", made(`new System.Security.Cryptography.CspParameters { KeyContainerName = "x" }`), made(`new System.Security.Cryptography.CspParameters()`)},
	{"WP1681", text("https://bob:hunter2x@host.example.com/x"), text("https://host.example.com/@bob:x")},
	{"WP1685", text("DSN=Orders;Uid=u"), text("the DSN is Orders")},
	{"WP1686", text("Driver={MySQL ODBC 8.0 Unicode Driver};Server=db"), text("Driver={SQL Server};Server=db")},
	{"WP1704", text(`net use Z: \\nas\data`), text("a net user")},
	{"WP1707", does(`File.WriteAllText("a", "b")`), does(`File.ReadAllText("a")`)},
	{"WP1708", made(`new FileSystemWatcher()`), made(`new FileInfo("x")`)},
	{"WP1709", does(`System.IO.IsolatedStorage.IsolatedStorageFile.GetMachineStoreForAssembly()`), does(`Path.GetTempPath()`)},
	{"WP1711", text(`Global\Orders`), text(`the Global\Orders`)},
	{"WP1712", text(`C:\Program Files\Acme\acme.exe`), text(`Program Files of Acme`)},
	{"WP1713", does(`Microsoft.Win32.Registry.LocalMachine.OpenSubKey("x")`), text("a registry of things")},
	{"WP1715", text(`c:\windows\win.ini`), text("twin.ini")},
	{"WP1716", does(`Environment.GetEnvironmentVariable("X")`), made(`Environment.MachineName`)},
	{"WP1718", does(`new System.ServiceProcess.ServiceInstaller().ServicesDependedOn = new[] { "MSMQ" }`), does(`new System.ServiceProcess.ServiceInstaller().DisplayName = "x"`)},
	{"WP1719", does(`new System.ServiceProcess.ServiceProcessInstaller().Username = "CORP\\svc"`), does(`new System.ServiceProcess.ServiceProcessInstaller().Username = null`)},
	{"WP1720", made(`new System.ServiceProcess.ServiceController("x")`), text("ServiceController")},
	{"WP1722", does(`System.Diagnostics.EventLog.WriteEntry("a", "b")`), does(`System.Diagnostics.Trace.WriteLine("a")`)},
	{"WP1723", `class E : System.Diagnostics.Tracing.EventSource { }`, made(`System.Diagnostics.TraceLevel.Error`)},
	{"WP1724", made(`new System.Diagnostics.PerformanceCounter()`), made(`System.Diagnostics.Stopwatch.StartNew()`)},
	{"WP1728", text("msiexec.exe /i x.msi"), text("the msiexecutor")},
	{"WP1730", does(`System.Diagnostics.Process.Start("x")`), does(`System.Diagnostics.Process.GetCurrentProcess()`)},
	{"WP1731", text("Microsoft.Update.Session"), text("a Microsoft.Update.Session")},
	{"WP1732", text("HNetCfg.FwPolicy2"), text("HNetCfg.FwPolicy2Old")},
	{"WP1733", load("vssapi", "CreateVssBackupComponentsInternal"), load("vss", "Create")},
	{"WP1734", made(`new System.IO.Pipes.NamedPipeServerStream("x")`), made(`new System.IO.Pipes.AnonymousPipeServerStream()`)},
	{"WP1738", made(`new System.Net.HttpListener()`), made(`new System.Net.HttpListenerException()`)},
	{"WP1739", text(`C:\Windows\System32\drivers\etc\hosts`), text(`drivers\etc\hostsfile`)},
	{"WP1741", text("CDO.Message"), text("CDO.Messages")},
	{"WP1744", does(`new System.Net.Sockets.UdpClient().JoinMulticastGroup(null)`), does(`new System.Net.Sockets.UdpClient().Connect("x", 1)`)},
	{"WP1746", does(`System.Net.ServicePointManager.SecurityProtocol = System.Net.SecurityProtocolType.Tls`), does(`System.Net.ServicePointManager.SecurityProtocol = (System.Net.SecurityProtocolType)3072`)},
	{"WP1748", made(`new System.Security.Cryptography.DESCryptoServiceProvider()`), made(`new System.Security.Cryptography.AesManaged()`)},
	{"WP1749", text("Enable-WindowsOptionalFeature -FeatureName SMB1Protocol"), text("SMB1Protocols")},
	{"WP1750", text(`\\host@SSL\DavWWWRoot\x`), text(`DavWWWRootless`)},
	{"WP1753", text("IIS://localhost/W3SVC"), text("see IIS://")},
	{"WP1762", made(`TimeZoneInfo.Local`), made(`TimeZoneInfo.Utc`)},
	{"WP1764", made(`System.Text.Encoding.Default`), made(`System.Text.Encoding.UTF8`)},
	{"WP1765", made(`Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData)`), made(`Environment.CurrentDirectory`)},
	{"WP1771", text(`D:\orders\in`), text(`C:\Windows\Temp\in`)},
	{"WP1772", text(`\\nas01\orders`), text(`\\.\pipe\orders`)},
	{"WP1768", `public class C : System.EnterpriseServices.ServicedComponent { }`, text("ServicedComponent")},
}

// quieter are rules that say nothing beside those of ownCode.
var quieter = []snippet{
	{"WP1653", made(`new System.Transactions.TransactionScope()`), made(`System.Transactions.Transaction.Current`)},
	{"WP1684", made(`new System.Data.Odbc.OdbcConnection()`), made(`new System.Data.SqlClient.SqlConnection()`)},
	{"WP1687", made(`new System.Data.OleDb.OleDbConnection()`), made(`new System.Data.DataTable()`)},
	{"WP1717", made(`new System.ServiceProcess.ServiceInstaller()`), made(`System.ServiceProcess.ServiceStartMode.Manual`)},
	{"WP1701", text("Install-WindowsFeature AD-Domain-Services"), text("Install-WindowsFeature Web-Server, DHCP-Tools")},
	{"WP1703", text("netdom join app01"), text("freedom joins")},
}

// withDTC is a rule that another of quieter stands for.
var withDTC = []snippet{{"WP1654", made(`System.Transactions.TransactionInterop.GetDtcTransaction(null)`), made(`System.Transactions.Transaction.Current`)}}

// siteOnly are rules about code of a site.
var siteOnly = []snippet{
	{"WP1710", made(`System.Web.HttpRuntime.Cache`), made(`System.Web.HttpRuntime.AppDomainAppId`)},
}

// dotNetOnly are rules about code of modern .NET.
var dotNetOnly = []snippet{
	{"WP1726", text("powershell -File x.ps1"), text("needs powershell")},
	{"WP1755", made(`new System.Runtime.Serialization.Formatters.Binary.BinaryFormatter()`), made(`typeof(SerializableAttribute)`)},
}

// references are rules that a reference to an assembly fires: a name, and one near to it.
var references = [][3]string{
	{"WP1610", "MSTSCLib", "MSTSCLibrary"}, {"WP1611", "AxInterop.Flash", "AxTools"}, {"WP1613", "Microsoft.Win32.TaskScheduler", "Microsoft.Win32.TaskSchedulers"},
	{"WP1614", "Microsoft.Web.Administration", "Microsoft.Web.Infrastructure"}, {"WP1615", "Microsoft.SharePoint", "Microsoft.SharePoint.Client"},
	{"WP1616", "Microsoft.BizTalk.Pipeline", "Microsoft.BizTalkTools"}, {"WP1617", "Microsoft.ApplicationServer.Caching.Client", "Microsoft.ApplicationServer.Store"},
	{"WP1618", "Microsoft.SqlServer.ManagedDTS", "Microsoft.SqlServer.Batch"}, {"WP1626", "Selenium.WebDriver", "Selenium.Support"},
	{"WP1627", "System.Speech", "System.Speeches"}, {"WP1636", "CrystalDecisions.Shared", "CrystalClear"}, {"WP1638", "Microsoft.ReportViewer.WebForms", "Microsoft.ReportViewers"},
	{"WP1640", "Telerik.Reporting", "Telerik.Web.UI"}, {"WP1663", "Microsoft.AspNetCore.Authentication.Negotiate", "Microsoft.AspNetCore.Authentication"},
	{"WP1688", "Oracle.DataAccess", "Oracle.DataAccesses"}, {"WP1689", "Oracle.ManagedDataAccess", "Oracle.ManagedData"}, {"WP1691", "IBM.Data.DB2", "IBM.Data"},
	{"WP1692", "amqmdnet", "amqmdnetstd"}, {"WP1693", "sapnco", "sapncore"}, {"WP1694", "System.Data.SqlServerCe", "System.Data.SqlServer"},
	{"WP1696", "Microsoft.SqlServer.Types", "Microsoft.SqlServer.Type"}, {"WP1697", "Microsoft.AnalysisServices.AdomdClient", "Microsoft.Analysis"},
	{"WP1699", "Microsoft.Windows.SDK.NET", "Microsoft.Windows.SDK"}, {"WP1721", "Quartz", "Quart"}, {"WP1725", "System.Management", "System.Management.Instrument"},
	{"WP1743", "System.Runtime.Remoting", "System.Runtime.Remote"}, {"WP1758", "System.Activities", "System.Activity"}, {"WP1760", "Microsoft.ApplicationInsights", "Microsoft.ApplicationInsight"},
}

// alone are references that say nothing beside others.
var alone = [][3]string{
	{"WP1612", "Interop.Scripting", "InteropServices.Tools"}, {"WP1652", "NServiceBus.Core", "NServiceBus.Host"},
	{"WP1667", "System.DirectoryServices.Protocols", "System.DirectoryServices.Protocol"}, {"WP1769", "System.EnterpriseServices", "System.EnterpriseService"},
}

// casesOfCode are those of the rules about what code uses.
func casesOfCode(t *testing.T) map[string]ruleCase {
	all := map[string]ruleCase{}
	add := func(list []snippet, as func(app) app) {
		fires, near := programs(list)
		for _, s := range list {
			all[s.id] = ruleCase{as(fires), as(near)}
		}
	}
	self := func(a app) app { return a }
	add(ownCode, self)
	add(quieter, self)
	add(withDTC, self)
	add(siteOnly, asSite)
	add(dotNetOnly, func(a app) app { return asDotNet(a, "Microsoft.NETCore.App") })
	var fires, near []string
	for _, r := range references {
		fires, near = append(fires, r[1]), append(near, r[2])
	}
	whole, around := referring(fires...), referring(near...)
	for _, r := range references {
		all[r[0]] = ruleCase{whole, around}
	}
	for _, r := range alone {
		all[r[0]] = ruleCase{referring(r[1]), referring(r[2])}
	}
	const extension = `namespace Microsoft.AspNetCore.DataProtection { public static class DataProtectionBuilderExtensions { public static void PersistKeysToFileSystem() { } public static void ProtectKeysWithDpapi() { } } }`
	protection := func(body string) app {
		return asDotNet(shared2(t, [3]string{"Microsoft.AspNetCore.DataProtection.dll", extension, "-target:library"}, [3]string{"App.exe", "using Microsoft.AspNetCore.DataProtection; static class P { static void Main() { DataProtectionBuilderExtensions." + body + "(); } }", "-r:Microsoft.AspNetCore.DataProtection.dll"}), "Microsoft.AspNetCore.App")
	}
	all["WP1676"] = ruleCase{protection("ProtectKeysWithDpapi"), protection("PersistKeysToFileSystem")}
	all["WP1677"] = all["WP1676"]
	all["WP1763"] = ruleCase{
		compiled([3]string{"sysglobl.dll", "namespace System.Globalization { public class CultureAndRegionInfoBuilder { } }", "-target:library"}, [3]string{"App.exe", "static class P { static void Main() { new System.Globalization.CultureAndRegionInfoBuilder(); } }", "-r:sysglobl.dll"}),
		compiled([3]string{"App.exe", `static class P { static void Main() { System.Globalization.CultureInfo.CreateSpecificCulture("de"); } }`, ""})}
	all["WP1659"] = ruleCase{compiled([3]string{"App.exe", target + nothing, "-debug -optimize-"}), compiled([3]string{"App.exe", target + nothing, "-optimize+"})}
	all["WP1660"] = ruleCase{mixed, compiled([3]string{"App.exe", nothing, ""})}
	all["WP1661"] = ruleCase{fixture("netfx-console-x86"), fixture("netfx-console")}
	all["WP1662"] = ruleCase{importing("msvbvm60.dll!ThunRTMain"), importing("kernel32.dll!Sleep")}
	all["WP1754"] = ruleCase{oldMetadata("v1.1.4322"), oldMetadata("v2.0.50727")}
	const calls = `static class P { static void Main() { new System.Net.WebClient().DownloadString("https://host.example.com"); } }`
	of := func(version string) string {
		return `[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v` + version + `")] `
	}
	all["WP1747"] = ruleCase{compiled([3]string{"App.exe", of("4.5") + calls, ""}), compiled([3]string{"App.exe", of("4.7") + calls, ""})}
	return all
}
