using Whistle.State;

namespace Whistle.Alerting.Stores;

/// <summary>The tables of the whole stage: one migration made them, so that they came together or not at all.</summary>
public static class AlertingTables
{
    internal const string IncidentsTable = "alerting_incidents";

    const string Incidents =
        "CREATE TABLE alerting_incidents (incident TEXT PRIMARY KEY, state TEXT NOT NULL, settled INTEGER NOT NULL, "
        + "updated_at INTEGER NOT NULL) WITHOUT ROWID;\n"
        + """
        CREATE INDEX alerting_incidents_unsettled ON alerting_incidents (incident) WHERE settled = 0;

        """
        + "CREATE TABLE alerting_decisions (id INTEGER PRIMARY KEY, incident TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, "
        + "text TEXT NOT NULL);\n"
        + """
        CREATE INDEX alerting_decisions_incident ON alerting_decisions (incident, id);
        CREATE INDEX alerting_decisions_at ON alerting_decisions (at);

        """
        + "CREATE TABLE alerting_digest (id INTEGER PRIMARY KEY AUTOINCREMENT, incident TEXT NOT NULL, at INTEGER NOT NULL, "
        + "text TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0);\n"
        + """
        CREATE TABLE alerting_watermark ("only" INTEGER PRIMARY KEY CHECK ("only" = 1), at INTEGER NOT NULL);
        """;

    const string Outbox =
        """
        CREATE TABLE alerting_outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, incident TEXT,
            payload TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, maybe_sent INTEGER NOT NULL DEFAULT 0,
            not_before INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, ended_at INTEGER, reason TEXT);
        CREATE UNIQUE INDEX alerting_outbox_once ON alerting_outbox (channel, key, action);
        CREATE INDEX alerting_outbox_pending ON alerting_outbox (channel, id) WHERE state = 'pending';
        CREATE INDEX alerting_outbox_created ON alerting_outbox (created_at);
        """;

    const string Tickets =
        """
        CREATE TABLE alerting_tickets (
            id INTEGER PRIMARY KEY AUTOINCREMENT, incident TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, title TEXT NOT NULL,

        """
        + "    severity TEXT NOT NULL, state TEXT NOT NULL, opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, "
        + "directories TEXT NOT NULL);\n"
        + """
        CREATE UNIQUE INDEX alerting_tickets_incident ON alerting_tickets (incident) WHERE state <> 'closed';
        CREATE TABLE alerting_ticket_entries (
            ticket INTEGER NOT NULL REFERENCES alerting_tickets (id), number INTEGER NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL,
            kind TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (ticket, number)) WITHOUT ROWID;
        """;

    const string Refusals = "CREATE INDEX alerting_outbox_failed ON alerting_outbox (channel, id) WHERE state = 'failed';";

    public static readonly StateSchema All = new("alerting", Incidents + Outbox + Tickets, Refusals);
}
