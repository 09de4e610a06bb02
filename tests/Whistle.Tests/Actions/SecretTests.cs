using Whistle.Actions.Diagnostics;
using Whistle.Actions.Secrets;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>
/// The public formats of secrets, each passed in every way that is usual. The values are drawn, so that the file itself holds none; the
/// seed is part of what a failure says.
/// </summary>
public sealed class SecretTests
{
    const string Upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Lower = "abcdefghijklmnopqrstuvwxyz", Digits = "0123456789";
    const string Hex = "0123456789abcdef", Alnum = Upper + Lower + Digits, Url = Alnum + "_-", Base64 = Alnum + "+/";

    // Prefix, alphabet and length of what follows, and what comes behind. The key is empty where the format is known without one.
    static readonly (string Name, string Key, string Prefix, string Alphabet, int Length, string Suffix)[] Formats =
    [
        ("AWS access key", "", "AKIA", Upper + Digits, 16, ""), ("AWS session key", "", "ASIA", Upper + Digits, 16, ""),
        ("AWS secret key", "aws_secret_access_key", "", Base64, 40, ""), ("AWS session token", "aws_session_token", "", Base64, 200, "=="),
        ("AWS Bedrock key", "", "ABSK", Base64, 100, "="), ("GitHub personal", "", "ghp_", Alnum, 36, ""),
        ("GitHub OAuth", "", "gho_", Alnum, 36, ""), ("GitHub user to server", "", "ghu_", Alnum, 36, ""),
        ("GitHub server to server", "", "ghs_", Alnum, 36, ""), ("GitHub refresh", "", "ghr_", Alnum, 36, ""),
        ("GitHub fine-grained", "", "github_pat_", Alnum + "_", 82, ""), ("GitLab personal", "", "glpat-", Url, 20, ""),
        ("GitLab deploy", "", "gldt-", Url, 20, ""), ("GitLab runner", "", "glrt-", Url, 20, ""), ("GitLab CI", "", "glcbt-", Url, 22, ""),
        ("GitLab trigger", "", "glptt-", Hex, 40, ""), ("GitLab feed", "", "glft-", Url, 20, ""),
        ("GitLab SCIM", "", "glsoat-", Url, 20, ""), ("GitLab agent", "", "glagent-", Url, 50, ""),
        ("GitLab registration", "", "GR1348941", Url, 20, ""), ("Google API", "", "AIza", Url, 35, ""),
        ("Google OAuth", "", "ya29.", Url, 60, ""), ("Google client", "", "GOCSPX-", Url, 28, ""),
        ("Google refresh", "", "1//0", Url, 60, ""), ("Azure account", "AccountKey", "", Base64, 86, "=="),
        ("Azure shared access", "SharedAccessKey", "", Base64, 43, "="), ("Azure SAS", "sig", "", Base64, 43, "%3D"),
        ("Azure client", "", "abc8Q~", Alnum + "_~.-", 33, "x"), ("Azure function", "x-functions-key", "", Url, 54, "=="),
        ("Azure subscription", "Ocp-Apim-Subscription-Key", "", Hex, 32, ""), ("Slack bot", "", "xoxb-", Digits, 12, "-Ab3dEf6hIj"),
        ("Slack user", "", "xoxp-", Digits, 12, "-Ab3dEf6hIj"), ("Slack app", "", "xapp-1-", Upper + Digits, 30, ""),
        ("Slack config", "", "xoxe-1-", Alnum, 60, ""), ("Stripe live", "", "sk_live_", Alnum, 24, ""),
        ("Stripe test", "", "sk_test_", Alnum, 24, ""), ("Stripe restricted", "", "rk_live_", Alnum, 24, ""),
        ("Stripe webhook", "", "whsec_", Alnum, 32, ""), ("Square", "", "sq0atp-", Url, 22, ""), ("Shopify", "", "shpat_", Hex, 32, ""),
        ("SendGrid", "", "SG.", Url, 22, ".Ab3dEf6hIj0klMn4pQr8tUv"), ("Mailgun", "", "key-", Hex, 32, ""),
        ("Mailchimp", "", "", Hex, 32, "-us12"), ("Brevo", "", "xkeysib-", Hex, 64, ""), ("Twilio", "", "SK", Hex, 32, ""),
        ("Twilio auth", "auth_token", "", Hex, 32, ""), ("Vault service", "", "hvs.", Url, 90, ""),
        ("Vault batch", "", "hvb.", Url, 130, ""), ("Vault recovery", "", "hvr.", Url, 30, ""), ("Vault old", "", "s.", Alnum, 24, ""),
        ("Terraform", "", "Ab3dEf6hIj0klM.atlasv1.", Url, 67, ""), ("npm", "", "npm_", Alnum, 36, ""),
        ("PyPI", "", "pypi-AgEIcHlwaS5vcmc", Url, 80, ""), ("RubyGems", "", "rubygems_", Hex, 48, ""),
        ("NuGet", "", "oy2", Lower + Digits, 43, ""), ("crates.io", "", "cio", Alnum, 32, ""),
        ("Docker personal", "", "dckr_pat_", Url, 27, ""), ("Docker organisation", "", "dckr_oat_", Url, 32, ""),
        ("Docker auth", "auth", "", Base64, 30, "=="), ("JWT", "", "eyJ", Url, 30, ".eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
        ("bootstrap token", "", "abc123.", Lower + Digits, 16, ""), ("kubeconfig token", "token", "", Url, 40, ""),
        ("DigitalOcean", "", "dop_v1_", Hex, 64, ""), ("Heroku", "", "HRKU-", Url, 60, ""), ("Fly", "", "fo1_", Url, 43, ""),
        ("Netlify", "", "nfp_", Alnum, 36, ""), ("Cloudflare", "", "v1.0-0123456789abcdef01234567-", Hex, 146, ""),
        ("Databricks", "", "dapi", Hex, 32, ""), ("New Relic", "", "NRAK-", Upper + Digits, 27, ""),
        ("Grafana service", "", "glsa_", Alnum, 32, "_0a1b2c3d"), ("Grafana cloud", "", "glc_", Alnum, 60, "=="),
        ("Sentry", "", "sntrys_", Alnum, 60, ""), ("Datadog", "DD-API-KEY", "", Hex, 32, ""),
        ("Opsgenie", "api_key", "", Hex, 8, "-1234-4abc-8def-0123456789ab"), ("PagerDuty integration", "routing_key", "", Hex, 32, ""),
        ("PagerDuty service", "service_key", "", Hex, 32, ""), ("PagerDuty API", "pagerduty_token", "u+", Url, 18, ""),
        ("OpenAI", "", "sk-proj-", Url, 48, ""), ("Anthropic", "", "sk-ant-api03-", Url, 90, ""),
        ("Hugging Face", "", "hf_", Alnum, 34, ""), ("Replicate", "", "r8_", Alnum, 37, ""), ("Groq", "", "gsk_", Alnum, 52, ""),
        ("Notion", "", "ntn_", Alnum, 46, ""), ("Airtable", "", "patAb3dEf6hIj0klM.", Hex, 64, ""),
        ("Linear", "", "lin_api_", Alnum, 40, ""), ("Figma", "", "figd_", Url, 40, ""), ("Dropbox", "", "sl.", Url, 130, ""),
        ("Doppler", "", "dp.pt.", Alnum, 43, ""), ("1Password", "", "ops_eyJ", Alnum, 200, ""),
        ("age", "", "AGE-SECRET-KEY-1", Upper + Digits, 58, ""), ("Tailscale", "", "tskey-auth-", Alnum, 16, "-Ab3dEf6hIj0klMn4"),
        ("Pulumi", "", "pul-", Hex, 40, ""), ("PlanetScale", "", "pscale_tkn_", Url, 43, ""), ("Supabase", "", "sbp_", Hex, 40, ""),
        ("Postman", "", "PMAK-", Hex, 24, "-0123456789abcdef0123456789abcdef01"), ("Atlassian", "", "ATATT3xFfGF0", Url, 100, "=0A1B2C3D"),
        ("Bitbucket", "", "ATBB", Alnum, 32, ""), ("Artifactory", "", "AKCp", Alnum, 69, ""), ("SonarQube", "", "squ_", Hex, 40, ""),
        ("CircleCI", "", "CCIPAT_", Alnum, 22, "_0123456789abcdef"), ("Buildkite", "", "bkua_", Hex, 40, ""),
        ("Telegram bot", "", "123456789:", Url, 35, ""), ("Discord bot", "", "M", Alnum, 25, ".Ab3dEf.Ab3dEf6hIj0klMn4pQr8tUv2wXy"),
        ("WireGuard", "PrivateKey", "", Base64, 43, "="), ("Whistle's own", "", "wst_", Url, 43, ""),
        ("password", "password", "", Alnum + "!$%&*+/?@^_~.,;:-", 14, "x"), ("pass", "pass", "", Alnum + "!$%&*", 12, "x"),
        ("passphrase", "passphrase", "", Lower, 24, ""), ("pwd", "MYSQL_PWD", "", Alnum, 12, ""),
        ("client secret", "client_secret", "", Alnum, 32, ""), ("presigned S3", "X-Amz-Signature", "", Hex, 64, ""),
        ("presigned GCS", "X-Goog-Signature", "", Hex, 128, ""), ("security token", "X-Amz-Security-Token", "", Base64, 90, ""),
        ("Redis", "REDISCLI_AUTH", "", Alnum, 20, ""), ("license", "license_key", "", Alnum, 40, ""),
        ("encryption", "encryptionKey", "", Hex, 64, ""), ("webhook", "webhook_secret", "", Alnum, 20, ""),
    ];

    // Where a secret stands whole, with {0} for it.
    static readonly string[] Texts =
    [
        "machine github.com login bob password {0}", "db.example:5432:app:bob:{0}", "//registry.npmjs.org/:_authToken={0}",
        "email=a@b.c\n_auth={0}\n", """{"auths":{"r.example":{"auth":"{0}"}}}""", "users:\n- name: a\n  user:\n    token: {0}\n",
        "kind: Secret\nstringData:\n  password: |\n    {0}\n    {0}\ntype: Opaque\n", "password: correct horse {0}\nhost: x",
        "Server=db;User Id=sa;Password={0};Encrypt=true", "jdbc:postgresql://db/app?user=bob&password={0}&ssl=true",
        "postgres://bob:{0}@db:5432/app", "mongodb+srv://bob:{0}@c0.mongodb.net/app", "amqp://bob:{0}@mq/", "redis://:{0}@cache:6379/0",
        "cloning https://{0}@github.com/a/b.git", "cloning https://oauth2:{0}@gitlab.com/a/b.git",
        "bob:{0}@tcp(db:3306)/app?parseTime=true",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={0};EndpointSuffix=core.windows.net",
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={0}",
        "https://x.blob.core.windows.net/c?sv=2022-11-02&se=2030-01-01&sr=c&sp=rl&sig={0}",
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={0}",
        "POST https://hooks.slack.com/services/T00000000/B00000000/{0} failed", "POST https://discord.com/api/webhooks/123456/{0} 429",
        "POST https://x.webhook.office.com/webhookb2/{0}/IncomingWebhook", "GET https://api.telegram.org/bot{0}/getMe",
        "CREATE USER bob IDENTIFIED BY '{0}'", "ALTER ROLE bob WITH PASSWORD '{0}'", "Authorization: Basic {0}",
        "authorization: Token token={0}", "Authorization: GenieKey {0}", "PRIVATE-TOKEN: {0}", "X-Vault-Token: {0}",
        "Cookie: session={0}; a=b", "Set-Cookie: id={0}",
        "sudo[7]:  bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql -u root -p{0} -e x",
        "sudo[7]: bob : COMMAND=/opt/tool {0} -k{0} -k {0}", "CRON[7]: (root) CMD (mysqldump -p{0} db > /x)",
        "CRON[7]: (root) CMD (A={0} /opt/tool -k {0})", """audit[7]: EXECVE argc=3 a0="tool" a1="-k" a2="{0}" """, "sshpass -p {0} ssh h",
        "redis-cli -a {0} ping", "curl -u bob:{0} https://h", "curl -ubob:{0} https://h", "curl --user bob:{0} https://h",
        "ldapsearch -w {0} -x", "docker login -u bob -p {0} r", "openssl rsa -passin pass:{0}", "wget --http-password={0} x",
        """args: ["--password","{0}"]""", """args: ["mysql", "-p{0}"]""", "args:\n- --token={0}\n",
        "env:\n- name: DB_PASSWORD\n  value: x\nDBPASS={0}", """msg="{\"password\":\"{0}\",\"n\":1}" """, "password => {0}",
        "password := {0}", "apikey: {0}", "curl -H 'apikey: {0}' h", "[Interface]\nPrivateKey = {0}\n",
        "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: {0}\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{0}\nabc\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: x (y)\n\n{0}\n=Ab1d\n-----END PGP PRIVATE KEY BLOCK-----",
        "n1 x[1]: -----BEGIN EC PRIVATE KEY-----\nn1 x[1]: {0}\nn1 x[1]: -----END EC PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{0}", @"""-----BEGIN PRIVATE KEY-----\n{0}\n-----END PRIVATE KEY-----\n""",
    ];

    public static TheoryData<string> Names => [.. Formats.Select(f => f.Name)];

    public static TheoryData<string> Templates => [.. Texts];

    [Fact]
    public void The_list_is_long_enough() => Assert.InRange(Formats.Length, 80, 1000);

    [Theory]
    [MemberData(nameof(Names))]
    public void A_secret_of_a_known_format_goes_however_it_is_passed(string name)
    {
        var format = Formats.Single(f => f.Name == name);
        var seed = Environment.TickCount;
        var random = new Random(seed);
        foreach (var _ in Enumerable.Range(0, 5))
        {
            var body = new string(
                [.. Enumerable.Range(0, format.Length).Select(_ => format.Alphabet[random.Next(format.Alphabet.Length)])]);
            // What is known by its case must have both.
            body = format.Alphabet.Length > 60 && body.Length > 3 ? $"a{body[1..^2]}Z7" : body;
            var secret = format.Prefix + body + format.Suffix;
            foreach (var text in Ways(format.Key.Length == 0 ? "x" : format.Key, secret))
                AssertGone(text, Redaction.Redact(text, out var count), body, count, seed);
            foreach (var arguments in Arguments(format.Key.Length == 0 ? "x" : format.Key, secret))
                AssertGone(string.Join(' ', arguments), CommandLine.Show("/usr/bin/tool", arguments), body, 1, seed);
        }
    }

    [Theory]
    [MemberData(nameof(Templates))]
    public void A_secret_goes_where_the_text_around_says_what_it_is(string template)
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        foreach (var length in new[] { 10, 16, 33, 64 })
        {
            var secret = new string([.. Enumerable.Range(0, length).Select(_ => Alnum[random.Next(Alnum.Length)])]);
            var text = template.Replace("{0}", secret, StringComparison.Ordinal);
            AssertGone(text, Redaction.Redact(text, out var count), secret, count, seed);
        }
    }

    [Theory]
    [InlineData(
        "kubelet[7]: E0506 pod_workers.go:1300] \"Error syncing pod\" err=\"failed to pull image\" pod=\"default/web-7d9f8c6b5-x2x7q\"")]
    [InlineData("containerd[7]: time=\"2026-05-06T07:08:09Z\" level=info msg=\"PullImage registry.k8s.io/pause:3.9\"")]
    [InlineData("kernel: EXT4-fs (sda1): mounted filesystem 3f1c2a7e-0b1d-4c55-9c8e-1234567890ab with ordered data mode")]
    [InlineData("systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent.")]
    [InlineData("kernel: Out of memory: Killed process 4711 (java) total-vm:8123456kB, anon-rss:4123456kB")]
    [InlineData("sshd[7]: Connection closed by 10.0.0.7 port 51234 [preauth]")]
    public void What_is_no_secret_can_still_be_read(string text) => Assert.Equal(text, Redaction.Redact(text, out _));

    [Fact]
    public void A_random_secret_in_a_command_line_never_leaves_whatever_form_it_has()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var folder = Directory.CreateTempSubdirectory("whistle-secrets").FullName;
        try
        {
            var secrets = Enumerable.Range(1000, 400).ToDictionary(id => id, _ => Random(random));
            foreach (var (id, secret) in secrets)
                WriteProcess(folder, id, CommandLineWith(random, secret));
            var text = ProcessPart.Read(folder, TestContext.Current.CancellationToken);
            Assert.All(secrets, s => Assert.False(
                text.Contains(s.Value, StringComparison.Ordinal),
                $"seed {seed}: {s.Value} of {File.ReadAllText(Path.Join(folder, $"{s.Key}/cmdline"))}"));
            Assert.Equal(402, text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    static IEnumerable<string> Ways(string key, string secret)
    {
        var variable = key.Replace('-', '_').ToUpperInvariant();
        yield return $"ran tool --{key}={secret} now";
        yield return $"ran tool --{key} {secret} now";
        yield return $"ran tool -p{secret} now";
        yield return $"{variable}={secret} tool";
        yield return $"export {variable}='{secret}'";
        yield return $$"""{"a": 1, "{{key}}": "{{secret}}", "b": 2}""";
        yield return $$"""log {\"{{key}}\":\"{{secret}}\"} end""";
        yield return $"a: 1\n{key}: {secret}\nb: 2\n";
        yield return $"  - {key}: \"{secret}\"\n";
        yield return $"GET https://h.example/p?a=1&{key}={secret} 200";
        yield return $"Authorization: Bearer {secret}";
        yield return $"X-Auth-Token: {secret}";
    }

    static IEnumerable<string[]> Arguments(string key, string secret) =>
    [
        [$"--{key}={secret}"], [$"--{key}", secret], [$"-{key}={secret}"], [$"-{key}", secret], [$"-x{secret}"], ["-x", secret],
        [$"{key}={secret}", "cmd"], [secret], [$"https://{secret}@host/"], ["-H", $"Authorization: Bearer {secret}"],
        ["-c", $"tool --{key} {secret}"], [$"{{\"{key}\":\"{secret}\"}}"], [$"a?{key}={secret}"], ["-u", $"bob:{secret}"], ["--", secret],
    ];

    // As a command line as a whole, the program first.
    static string[] CommandLineWith(Random random, string secret)
    {
        string[] programs =
        [
            "/usr/sbin/mysqld", "/usr/bin/kubelet", "/usr/bin/containerd", "/usr/lib/postgresql/15/bin/postgres", "/usr/bin/python3",
            "/opt/x/tool", "java",
        ];
        string[] options =
        [
            "--password", "--port", "--config", "--node-ip", "--log-level", "--data-dir", "-D", "-p", "-c", "--x", "--a-b_c.d", "-address",
            "-namespace",
        ];
        var program = programs[random.Next(programs.Length)];
        var option = options[random.Next(options.Length)];
        var forms = Arguments("key", secret).Concat(
        [
            [option, secret], [$"{option}={secret}"], [$"{option}{secret}"], [secret, option], [option, "1", secret],
            [option, $"/{secret}/{secret}"], [$"{option}={secret}={secret}"],
        ]).ToList();
        var form = forms[random.Next(forms.Count)];
        return random.Next(8) switch
        {
            // What processes call themselves.
            0 => [$"postgres: bob {secret} [local] idle"],
            1 => [$"{program} {string.Join(' ', form)}"],
            2 => [$"nginx: {secret}", .. form],
            _ => [program, .. Enumerable.Repeat("--v", random.Next(3)), .. form],
        };
    }

    // Of letters alone it could be the name of an option.
    static string Random(Random random)
    {
        var alphabet = random.Next(4) switch { 0 => Hex, 1 => Base64, 2 => Url + "!$%&*+?@^~.,;:'\" ", _ => Alnum };
        return $"{(char)('a' + random.Next(26))}{random.Next(10)}"
            + $"{new string([.. Enumerable.Range(0, random.Next(8, 60)).Select(_ => alphabet[random.Next(alphabet.Length)])])}"
            + $"{random.Next(10)}z";
    }

    static void WriteProcess(string proc, int id, string[] command)
    {
        var folder = Directory.CreateDirectory(Path.Join(proc, $"{id}")).FullName;
        File.WriteAllText(Path.Join(folder, "stat"), $"{id} (name) S 1 7 7 0 -1 4194560 1 0 0 0 10 20 0 0 20 0 4 0 100 1000000 5 1844 0\n");
        File.WriteAllText(Path.Join(folder, "cmdline"), string.Join('\0', command) + "\0");
    }

    // No part of it that would help to guess the rest.
    static void AssertGone(string text, string without, string body, int count, int seed)
    {
        var length = Math.Min(8, body.Length);
        Assert.False(
            without.Contains(body[..length], StringComparison.Ordinal) || without.Contains(body[^length..], StringComparison.Ordinal),
            $"seed {seed}: {text} became {without}");
        Assert.True(count > 0, text);
    }
}
