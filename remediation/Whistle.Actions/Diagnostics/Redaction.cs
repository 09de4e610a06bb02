using System.Text.RegularExpressions;

namespace Whistle.Actions.Diagnostics;

/// <summary>Takes secrets out of text that leaves the node. It rather takes too much: what looks like a secret is one.</summary>
static partial class Redaction
{
    /// <summary>What stands in the place of each secret.</summary>
    public const string Gone = "[redacted]";

    // A line of a program that does not end must not hold everything up.
    const int MatchMilliseconds = 5000;

    /// <param name="count">So many places were taken out.</param>
    public static string Redact(string text, out int count)
    {
        var taken = 0;
        try
        {
            text = Pem().Replace(text, m => Take(m.Groups[1].Value));
            text = UrlCredentials().Replace(text, m => Take(m.Groups[1].Value) + "@");
            text = Header().Replace(text, m => Take(m.Groups[1].Value));
            text = Scheme().Replace(text, m => Take(m.Groups[1].Value + " "));
            text = Flag().Replace(text, m => Take(m.Groups[1].Value));
            text = KeyValue().Replace(text, m => m.Groups[2].Value.Contains(Gone, StringComparison.Ordinal) ? m.Value : Take(m.Groups[1].Value));
            text = Known().Replace(text, _ => Take(""));
            text = Base64().Replace(text, _ => Take(""));
        }
        catch (RegexMatchTimeoutException)
        {
            (text, taken) = ($"{Gone}: it took too long to look for secrets in it.", taken + 1);
        }

        count = taken;
        return text;

        string Take(string before)
        {
            taken++;
            return before + Gone;
        }
    }

    // Also where line breaks are written as \n, and where the end is missing.
    [GeneratedRegex(@"(-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z0-9 ]*-----)(?:[A-Za-z0-9+/=\s:,-]|\\n|\\r)*?(?:-----END [A-Z0-9 ]*-----|(?![A-Za-z0-9+/=\s:,\\-])|\z)", RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Pem();

    [GeneratedRegex(@"\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@""']{0,200}:[^\s/""']{1,400}@", RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex UrlCredentials();

    [GeneratedRegex(@"\b((?:proxy-)?authorization[\\""']*\s*[:=]\s*|(?:set-)?cookie[\\""']*\s*:\s*|x-[a-z-]*(?:token|key|secret)[\\""']*\s*:\s*)[^\r\n]+", RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex Header();

    [GeneratedRegex(@"\b(bearer)\s+[A-Za-z0-9._~+/=-]{6,}", RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex Scheme();

    // --password value, as a process was given it.
    [GeneratedRegex(@"(\s--?[\w-]{0,40}(?:password|passwd|passphrase|token|secret|api-?key|access-?key)[\w-]{0,40}\s+)(?:""[^""\r\n]*""|'[^'\r\n]*'|[^\s-]\S*)", RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex Flag();

    // password=value, "token": "value", also escaped in a JSON text, and the certificates and keys of a kubeconfig.
    [GeneratedRegex(
        @"((?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|client-certificate-data|client-key-data|certificate-authority-data)[\w.-]{0,40}[\\""']*\s*[:=]\s*)(\\*""[^""\r\n]*""?|'[^'\r\n]*'?|[^\s""',;&}]+)",
        RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex KeyValue();

    // Keys of AWS, GitHub, Google and Slack, JSON web tokens, and kubeadm's bootstrap tokens.
    [GeneratedRegex(
        @"\b(?:(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b|gh[pousr]_[A-Za-z0-9]{20,}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[0-9A-Za-z-]{10,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?|[a-z0-9]{6}\.[a-z0-9]{16}\b)",
        RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Known();

    // Long runs with small and capital letters and digits: keys and certificates without their frame. Hashes and ids, which are hexadecimal, stay.
    [GeneratedRegex(
        @"(?<![A-Za-z0-9+/])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{40,}={0,2}", RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Base64();
}
