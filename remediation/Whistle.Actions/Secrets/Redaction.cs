using System.Text.RegularExpressions;

namespace Whistle.Actions.Secrets;

/// <summary>Takes secrets out of text that leaves the node. It rather takes too much: what looks like a secret is one.</summary>
static partial class Redaction
{
    /// <summary>What stands in the place of each secret.</summary>
    public const string Gone = "[redacted]";

    // A line of a program that does not end must not hold everything up.
    const int MatchMilliseconds = 5000;

    // What says of a value that it is a secret: within a longer name, and at the end of a word where others go on (passed, signal, author).
    const string SecretWord =
        "(?:password|passwd|passphrase|secret|token|credentials?|api[_.-]?key|client-certificate-data|client-key-data"
        + "|certificate-authority-data|webhook|connection[_-]?string"
        + "|signature|private-?lines|(?:pass|pwd)(?![a-z])|[a-z0-9][_.-]?key(?![a-z])"
        + "|(?:(?<![a-z])|(?-i:(?<=[a-z])(?=[A-Z])))(?:pw|psk|sig|auth|dsn|jwt|otp|salt|mnemonic|pin)(?![a-z]))";

    const string NameBefore = @"[\w.-]{0,40}?";
    const string NameAfter = @"[\w.-]{0,40}";

    // In quotes, in escaped quotes, or up to the next space.
    const string Value = @"(?:(?:\\+""(?:(?!\\+"")[^\r\n])*(?:\\+"")?|""(?:\\.|[^""\\\r\n])*""?|'(?:\\.|''|[^'\\\r\n])*'?)|\S+)";

    // What says where the value is; the earlier ones know more of how long it is.
    static readonly Regex[] Named =
        [AuditArgument(), Pem(), UrlCredentials(), Header(), Scheme(), Block(), Line(), Flag(), KeyValue(), ShortFlag(), Spoken()];

    static readonly Regex[] Formats = [SecretFormats.Prefixed(), SecretFormats.Shaped(), SecretFormats.Base64(), SecretFormats.UrlSafe()];

    /// <summary>Whether there is nothing to take out.</summary>
    public static bool IsClean(string text)
    {
        Redact(text, out var count);
        return count == 0;
    }

    /// <param name="count">So many places were taken out.</param>
    public static string Redact(string text, out int count)
    {
        var taken = 0;
        try
        {
            text = Command().Replace(text, m => Keep(m.Groups["before"].Value, Shown(m.Groups["program"].Value, m.Groups["rest"].Value)));
            foreach (var pattern in Named)
                text = pattern.Replace(text, m => m.Groups["value"].Value.StartsWith(Gone, StringComparison.Ordinal)
                    ? m.Value : Take(m.Groups["before"].Value) + m.Groups["after"].Value);
            foreach (var pattern in Formats)
                text = pattern.Replace(text, _ => Take(""));
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

        string Keep(string before, string shown)
        {
            taken += shown.AsSpan().Count(Gone);
            return before + shown;
        }
    }

    static string Shown(string program, string arguments) =>
        CommandLine.Show(CommandLine.Program(program) ?? Gone, arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    // A command that sudo, cron or a person's program tells of, and programs that take secrets in options of one letter.
    [GeneratedRegex(
        @"(?<before>\bCOMMAND=|\bCMD \()(?<program>[^\s()]+)(?<rest>[^\r\n]*)"
        + @"|(?<=\s|^)(?<program>(?:[\w./-]*/)?(?:sshpass|mysql\w*|mariadb\w*|psql|pg_\w+|redis-cli|ldap\w+|mongo\w*|smbclient|sqlcmd"
        + @"|sqlplus|ipmitool|snmp\w+|curl|wget|openssl|htpasswd"
        + @"|kinit|zip|unzip|7z|unrar|gpg|sudo|docker|podman"
        + @"|nerdctl|crictl|helm|kubectl|vault|aws|az|gcloud))(?<rest>(?:[ \t]+[a-z][\w-]{0,20}){0,3}[ \t]+-[^\r\n]*)",
        RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Command();

    // EXECVE of the audit log: a1="-psecret", or in hexadecimal where it has spaces.
    [GeneratedRegex(@"(?<before>\ba[0-9]{1,4}(?:\[[0-9]+\])?=)(?:""[^""\r\n]*""|[0-9A-Fa-f]{4,})", RegexOptions.None, MatchMilliseconds)]
    private static partial Regex AuditArgument();

    // Also where line breaks are written as \n, and where the end is missing. A private key
    // goes up to its end, whatever stands before each line.
    [GeneratedRegex(
        @"(?<before>-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z0-9 ]*-----)[\s\S]{0,20000}?-----END [A-Z0-9 ]*-----"
        + @"|(?<before>-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z0-9 ]*-----)(?:[A-Za-z0-9+/=\s:,-]|\\n"
        + @"|\\r)*?(?:-----END [A-Z0-9 ]*-----|(?![A-Za-z0-9+/=\s:,\\-])|\z)",
        RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Pem();

    // https://token@host, scheme://user:p/w@host, and user:pw@tcp(host) as Go's driver of MySQL has it.
    [GeneratedRegex(
        @"(?<before>\b[a-z][a-z0-9+.-]{1,20}://)(?:[^\s/""'<>]{1,400}|[^\s/:@""']{0,100}:[^\s""']{1,400})(?<after>@)|(?<=^"
        + @"|[\s=""'])[\w.-]{1,60}:[^\s""']{1,200}(?<after>@)(?=(?:tcp|unix)\()",
        RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex UrlCredentials();

    [GeneratedRegex(
        @"(?<before>\b(?:proxy-)?authorization[\\""']*\s*[:=]\s*|\b(?:set-)?cookie[\\""']*\s*:\s*|(?<![\w-])(?:[a-z0-9]+-){1,6}(?:token"
        + @"|key|secret|auth|password|signature|credential|session)[\\""']*:\s+)[^\r\n]+",
        RegexOptions.IgnoreCase, MatchMilliseconds)]
    private static partial Regex Header();

    [GeneratedRegex(
        @"(?<before>\b(?i:bearer|geniekey|splunk|negotiate)\s+)[A-Za-z0-9._~+/=-]{6,}|(?<before>\b(?i:basic|token"
        + @"|apikey|digest)\s+)(?=\S*[A-Z0-9=])[A-Za-z0-9._~+/=-]{8,}",
        RegexOptions.None, MatchMilliseconds)]
    private static partial Regex Scheme();

    // A block of YAML, up to the line that is no deeper.
    [GeneratedRegex(
        @"(?<before>^(?<indent>[ \t]*)(?:- )?[""']?" + NameBefore + SecretWord + NameAfter
        + @"[""']?:[ \t]*)[|>][+-]?[0-9]?[ \t]*\r?\n(?:\k<indent>[ \t]+[^\r\n]*(?:\r?\n(?=\k<indent>[ \t])|(?=\r?\n)|\z))+",
        RegexOptions.IgnoreCase | RegexOptions.Multiline, MatchMilliseconds)]
    private static partial Regex Block();

    // A line of YAML or of a header, whose value may have spaces.
    [GeneratedRegex(
        @"(?<before>^[ \t]*(?:- )?[""']?" + NameBefore + SecretWord + NameAfter + @"[""']?:[ \t]+)(?![""'{\[])(?<value>[^\r\n]+)",
        RegexOptions.IgnoreCase | RegexOptions.Multiline, MatchMilliseconds)]
    private static partial Regex Line();

    // --password value, as a process was given it, also as a list of JSON.
    [GeneratedRegex(
        @"(?<before>(?<=\s|^|[""'\[,])--?" + NameBefore + SecretWord + NameAfter + @"[\\""']*(?:,\s*|\s+))(?!--)(?<value>" + Value + ")",
        RegexOptions.IgnoreCase | RegexOptions.Multiline, MatchMilliseconds)]
    private static partial Regex Flag();

    // password=value, "token": "value", also escaped in a JSON text, and the certificates and keys of a kubeconfig.
    [GeneratedRegex(
        "(?<before>" + SecretWord + NameAfter + @"[\\""']*\s*(?::=|=>|[:=])\s*)(?<value>" + Value + ")", RegexOptions.IgnoreCase,
        MatchMilliseconds)]
    private static partial Regex KeyValue();

    // -pSECRET and -u user:SECRET, of whatever program.
    [GeneratedRegex(
        @"(?<before>(?<=\s|^|[""'\[,])-p)(?=[^\s=,""'\]-])(?<value>\S+)|(?<before>(?<=\s|^)(?:-u|--user)[ =]?)(?<value>\S+:\S+)",
        RegexOptions.Multiline, MatchMilliseconds)]
    private static partial Regex ShortFlag();

    // As SQL, .netrc and .pgpass have it.
    [GeneratedRegex(
        @"(?<before>\b(?:identified\s+(?:with\s+\S+\s+)?by|password)\s+)(?<value>'[^'\r\n]*'?|""[^""\r\n]*""?)"
        + @"|(?<before>\blogin\s+\S+\s+password\s+)(?<value>\S+)"
        + @"|(?<before>(?<=\s|^)[^:\s]{1,100}:(?:5432|5433|\*):[^:\s]{1,60}:[^:\s]{1,60}:)(?<value>\S+)",
        RegexOptions.IgnoreCase | RegexOptions.Multiline, MatchMilliseconds)]
    private static partial Regex Spoken();
}
