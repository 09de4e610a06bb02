using System.Text.RegularExpressions;

namespace Whistle.Actions.Secrets;

/// <summary>Secrets that are known by their own form, whatever stands around them; their issuers publish it.</summary>
static partial class SecretFormats
{
    const int MatchMilliseconds = 5000;

    // What follows one of these prefixes is a secret as far as its characters go.
    [GeneratedRegex(
        @"(?:(?<![A-Za-z0-9])|(?<=(?:^|[\s""'])-[A-Za-z]))(?:"
        + @"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA|AGPA|ANPA)[A-Z0-9]{16}(?![A-Z0-9])|ABSK[A-Za-z0-9+/=]{30,}"
        + @"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}"
        + @"|(?:glpat|gldt|glrt|glrtr|glcbt|glptt|glft|glsoat|glagent|gloas|glimt|glffct|glwt)-[A-Za-z0-9_.=-]{10,}"
        + @"|GR1348941[A-Za-z0-9_-]{10,}"
        + @"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_.-]{16,}|GOCSPX-[0-9A-Za-z_-]{16,}|1//0[0-9A-Za-z_-]{20,}"
        + @"|xox[a-z](?:\.xox[a-z])?-[0-9A-Za-z-]{10,}|xapp-[0-9A-Za-z-]{10,}"
        + @"|(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z+/=]{16,}|sq0[a-z]{3}-[0-9A-Za-z_-]{16,}|EAAA[0-9A-Za-z_-]{40,}"
        + @"|access_token\$(?:production|sandbox)\$[0-9a-z$]+"
        + @"|shp(?:at|ca|pa|ss|tka)_[0-9A-Fa-f]{16,}|SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}|key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}"
        + @"|xkeysib-[0-9a-z-]{20,}|SK[0-9a-f]{32}"
        + @"|hv[sbr]\.[A-Za-z0-9_-]{10,}|[sbr]\.[A-Za-z0-9]{24}(?![A-Za-z0-9])|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"
        + @"|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{16,}|rubygems_[0-9a-f]{20,}|oy2[a-z0-9]{43}|cio[A-Za-z0-9]{32}"
        + @"|dckr_[a-z]{2,4}_[A-Za-z0-9_-]{16,}"
        + @"|do[oprt]_v1_[0-9a-f]{20,}|HRKU-[0-9A-Za-z_-]{16,}|fo1_[0-9A-Za-z_-]{20,}|fm[12][a-z]?_[0-9A-Za-z+/=_-]{20,}"
        + @"|nfp_[0-9A-Za-z]{20,}|v1\.0-[0-9a-f]{24}-[0-9a-f]{60,}"
        + @"|dapi[0-9a-f]{32}(?:-[0-9])?|NR(?:AK|II|IQ|JS|RA)-[0-9A-Za-z_-]{16,}|gls?[ac]_[0-9A-Za-z_+/=]{20,}"
        + @"|sntry[su]_[0-9A-Za-z_+/=-]{20,}|pdus\+[0-9A-Za-z_+-]{16,}"
        + @"|sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}"
        + @"|(?:secret|ntn)_[A-Za-z0-9]{20,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{32,}|lin_(?:api|oauth)_[A-Za-z0-9]{20,}|figd_[A-Za-z0-9_-]{20,}"
        + @"|sl\.[A-Za-z0-9_-]{40,}|dp\.[a-z]{2,5}\.[A-Za-z0-9_.-]{20,}"
        + @"|ops_eyJ[A-Za-z0-9_=-]{20,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|tskey-[A-Za-z0-9-]{10,}"
        + @"|pul-[0-9a-f]{20,}|pscale_[a-z]{2,8}_[A-Za-z0-9_.-]{20,}"
        + @"|sbp_[0-9a-f]{20,}|PMAK-[0-9a-f-]{20,}|AT(?:ATT|CTT)3[A-Za-z0-9_=+/-]{20,}|ATBB[A-Za-z0-9]{20,}|AKC[A-Za-z0-9]{20,}"
        + @"|cmVmd[A-Za-z0-9]{20,}|sq[apu]_[0-9a-f]{20,}"
        + @"|CCIP(?:AT|RJ)_[A-Za-z0-9_-]{16,}|bk(?:ua|aj|ct)_[0-9a-f]{20,}|nvapi-[A-Za-z0-9_-]{20,}|wst_[A-Za-z0-9_-]{20,}"
        + @"|rnd_[A-Za-z0-9]{20,}|tvly-[A-Za-z0-9-]{16,}"
        + @"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?|eyJ[A-Za-z0-9_-]{24,}={0,2}|ey[A-Za-z0-9]{30,}\.[A-Za-z0-9_-]{10,}"
        + ")", RegexOptions.None, MatchMilliseconds)]
    public static partial Regex Prefixed();

    // Without a prefix, but of a shape that little else has: kubeadm's bootstrap tokens, secrets of Azure's applications, bots of Discord
    // and Telegram, and the addresses that are secrets themselves.
    [GeneratedRegex(
        @"\b[a-z0-9]{6}\.[a-z0-9]{16}\b|(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"
        + @"|\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"
        + @"|\b[0-9]{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])|(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/\S+"
        + @"|(?<=discord(?:app)?\.com/api/webhooks/)\S+"
        + @"|(?<=webhook\.office\.com/)\S+|(?<=api\.telegram\.org/)\S+",
        RegexOptions.None, MatchMilliseconds)]
    public static partial Regex Shaped();

    // Long runs with small and capital letters and digits: keys and certificates without
    // their frame. Hashes and ids, which are hexadecimal, stay.
    [GeneratedRegex(
        @"(?<![A-Za-z0-9+/])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{40,}={0,2}", RegexOptions.None,
        MatchMilliseconds)]
    public static partial Regex Base64();

    [GeneratedRegex(
        @"(?<![A-Za-z0-9_-])(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{40,}={0,2}", RegexOptions.None,
        MatchMilliseconds)]
    public static partial Regex UrlSafe();
}
