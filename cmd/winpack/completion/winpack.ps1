# PowerShell completion for winpack, made by: winpack completion powershell
#
# The words go to `winpack __complete` as they are typed, and what it prints is
# offered. Nothing of either is evaluated. No answer means the names of files.

Register-ArgumentCompleter -Native -CommandName 'winpack', 'winpack.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = @()
    $current = ''
    foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
        $extent = $element.Extent
        if ($extent.StartOffset -ge $cursorPosition) { break }
        if ($extent.EndOffset -ge $cursorPosition) {
            $current = $extent.Text.Substring(0, $cursorPosition - $extent.StartOffset)
            break
        }
        $before += $extent.Text
    }
    # PowerShell replaces $wordToComplete, which of a list like a,b is its end.
    $keep = 0
    if ($current.EndsWith([string]$wordToComplete)) { $keep = $current.Length - ([string]$wordToComplete).Length }
    & winpack '__complete' '--' $before "@$current" 2>$null | Select-Object -Skip 1 | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value.Substring($keep), $value, 'ParameterValue', $about)
    }
}
