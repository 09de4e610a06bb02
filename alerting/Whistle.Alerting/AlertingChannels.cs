using Whistle.Alerting.Channels;
using Whistle.Alerting.Mail;
using Whistle.Alerting.PagerDuty;

namespace Whistle.Alerting;

/// <summary>Every kind of channel there is.</summary>
static class AlertingChannels
{
    public static readonly IReadOnlyList<ChannelKind> All =
    [
        new("PagerDuty", PagerDutyOptions.Read),
        new("Mail", MailOptions.Read),
    ];
}
