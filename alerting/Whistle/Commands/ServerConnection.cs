using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Files;
using Whistle.Agent.Settings;
using Whistle.Data;
using Whistle.Printing;
using Whistle.Telemetry;

namespace Whistle.Commands;

/// <summary>A verb's way to a running server: its address, and the token from a file or from its data folder.</summary>
sealed class ServerConnection : IDisposable
{
    const string TokenVariable = "WHISTLE_TOKEN_FILE";

    static readonly Option<Uri?> Server = Address.Optional(
        "--server", "The server's address; WHISTLE_SERVER where that is set, else where the server on the data folder listens.",
        "WHISTLE_SERVER");
    public static readonly Option<string> Data = DataFolder.Option(
        "The server's data folder, which contains its token; WHISTLE_DATA where that is set.");

    public static readonly Option<string?> TokenFile = new Option<string?>("--token-file")
    {
        Description = $"A file with the token, instead of the data folder's; {TokenVariable} where that is set.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } file ? file : null,
    }.NotEmpty();

    public static readonly Option<string?> Authority = Named(
        "--ca", "A PEM file of the authority that proves an https server, instead of this machine's", "WHISTLE_CA");

    public static readonly Option<string?> Fingerprint = Named(
        "--ca-fingerprint", "The SHA-256 fingerprint of an https server's authority or certificate, as the server prints it",
        "WHISTLE_CA_FINGERPRINT");

    // An API token, or a copy of the server's own.
    static readonly SecretForm PortableToken = ServerFolder.TokenForm with
    {
        What = "the token of the command line",
        Fault = text => AccessToken.IsWhole(AccessToken.OfPerson, text) ? null : ServerFolder.TokenForm.Fault(text) is null ? null
            : $"holds no whole token: one begins with {AccessToken.OfPerson} or {AccessToken.OfServer}, and 43 characters follow.",
    };

    static readonly JsonSerializerOptions Json = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    readonly HttpClient _http;

    /// <param name="found">What the data folder says of the server, where that led to it.</param>
    /// <exception cref="CommandException">There is no token, or what shall prove the server will not do.</exception>
    public ServerConnection(Uri server, ParseResult arguments, string folder, Listening? found = null)
    {
        var file = arguments.GetValue(TokenFile);
        var trust = TrustOf(server, arguments, folder, found);
        if (trust.Errors(server).FirstOrDefault() is { } fault)
            throw new UsageException(fault);
        var token = file is null ? TokenOf(folder) : TokenIn(file);
        var handler = new SocketsHttpHandler { UseProxy = !server.IsLoopback && found is null };
        trust.Apply(handler);
        _http = new HttpClient(handler) { BaseAddress = server, Timeout = TimeSpan.FromMinutes(2) };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    /// <summary>Where the server of the data folder says that it listens; null where none runs.</summary>
    /// <exception cref="CommandException">What it says cannot be believed.</exception>
    internal static Listening? Find(string folder)
    {
        try
        {
            return Listening.Read(folder);
        }
        catch (SecretException e)
        {
            throw new CommandException($"{e.Message} Or name the server's address with --server.");
        }
    }

    /// <summary>Whether a server was typed; a variable may be set for other verbs.</summary>
    internal static bool IsServerTyped(ParseResult arguments) => arguments.GetResult(Server) is { Implicit: false };

    // The folder's token is for its server alone: where none says that it listens, whoever has the usual port may be somebody else.
    static Uri Usual(ParseResult arguments, string folder)
    {
        if (arguments.GetValue(TokenFile) is not null)
            return WhistleOptions.UsualAddress;
        _ = TokenOf(folder);
        throw new UnreachableException($"No server says that it runs on {folder}. Start it with "
            + $"`whistle serve --data {folder}`, or name its address with --server or WHISTLE_SERVER.");
    }

    // On the server's own machine its folder has what proves it.
    static ServerTrust TrustOf(Uri server, ParseResult arguments, string folder, Listening? found)
    {
        // The variables may be set for another server.
        if (server.Scheme == Uri.UriSchemeHttp)
            return new();
        var (file, fingerprint) = (arguments.GetValue(Authority), arguments.GetValue(Fingerprint));
        // What is typed counts more than what a variable says.
        if (arguments.GetResult(Authority) is { Implicit: false } && arguments.GetResult(Fingerprint) is null or { Implicit: true })
            fingerprint = null;
        else if (arguments.GetResult(Fingerprint) is { Implicit: false } && arguments.GetResult(Authority) is null or { Implicit: true })
            file = null;
        var isTyped = arguments.GetResult(Authority) is { Implicit: false } || arguments.GetResult(Fingerprint) is { Implicit: false };
        if (found is not null && !isTyped)
        {
            return new()
            {
                Fingerprint = found.Fingerprint ?? throw new CommandException(
                    $"{Listening.FileName} in {folder} does not say what proves {server}. Start the server again, or name its "
                    + "fingerprint with --ca-fingerprint."),
            };
        }

        var own = Path.Combine(folder, ServerFolder.AuthorityForOthers);
        return (file ?? fingerprint) is null && server.IsLoopback && File.Exists(own)
            ? new() { AuthorityFile = own }
            : new() { AuthorityFile = file, Fingerprint = fingerprint };
    }

    static Option<string?> Named(string name, string description, string variable) => new Option<string?>(name)
    {
        Description = $"{description}; {variable} where that is set.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null,
    }.NotEmpty();

    // Root may use the token of any user's server: it stops repairs in an emergency, and all
    // that it shows to that server is that user's own token.
    internal static string TokenOf(string dataFolder)
    {
        try
        {
            return new SecretFile(Path.Combine(dataFolder, ServerFolder.Token), ServerFolder.TokenForm)
            { Owner = PrivateFolder.OwnerForRoot(dataFolder) }.Read();
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing)
        {
            throw new CommandException(
                $"There is no token in {dataFolder}. Start the server first (`whistle serve`), or name its data folder with --data.");
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Unreadable)
        {
            throw new CommandException($"You may not read the token in {dataFolder}. Run this as the user that runs the server.");
        }
        catch (SecretException e)
        {
            throw new CommandException(e.Message);
        }
    }

    internal static string TokenIn(string file)
    {
        try
        {
            return new SecretFile(file, PortableToken).Read();
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing)
        {
            throw new CommandException(
                $"There is no token file {file}. Put an API token there (`whistle tokens add`), or name another with --token-file.");
        }
        catch (SecretException e)
        {
            throw new CommandException(e.Message);
        }
    }

    /// <summary>A verb that lists what the server answers at the path.</summary>
    public static Command WithList(Command command, string path, Func<JsonElement, View, Listing> table) =>
        With(command.Lists(), async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync(path, cancellation);
            ListOutput.Write(arguments, answer, server.Now, view => table(answer, view));
        });

    /// <summary>Gives the command the options, and runs its work against the server; what goes wrong is said in a line.</summary>
    public static Command With(Command command, Func<ParseResult, ServerConnection, CancellationToken, Task> work) =>
        With(command, async (arguments, server, cancellation) =>
        {
            await work(arguments, server, cancellation);
            return ExitCode.Fine;
        });

    /// <summary>As above, for work that has an exit code of its own.</summary>
    public static Command With(Command command, Func<ParseResult, ServerConnection, CancellationToken, Task<int>> work)
    {
        command.Options.Add(Server);
        command.Options.Add(TokenFile);
        command.Options.Add(Data);
        command.Options.Add(Authority);
        command.Options.Add(Fingerprint);
        command.SetAction(async (arguments, cancellation) =>
        {
            try
            {
                var (named, folder) = (arguments.GetValue(Server), arguments.GetValue(Data)!);
                var found = named is null ? Find(folder) : null;
                using var connection = new ServerConnection(
                    named ?? found?.Local ?? Usual(arguments, folder), arguments, folder, found);
                return await work(arguments, connection, cancellation);
            }
            catch (CommandException e)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return e.ExitCode;
            }
        });
        return command;
    }

    /// <summary>The server's time at its last answer: ages are by its clock, not by this machine's.</summary>
    public DateTimeOffset Now { get; private set; } = TimeProvider.System.GetUtcNow();

    /// <summary>Whether the server is on this machine.</summary>
    public bool IsHere => _http.BaseAddress!.IsLoopback;

    public void Dispose() => _http.Dispose();

    /// <summary>An id as a part of a path.</summary>
    /// <exception cref="UsageException">It would be no part of its own.</exception>
    public static string Part(string id) => id is "" or "." or ".."
        ? throw new UsageException($"\"{id}\" is not an id. Copy it from the list.") : Uri.EscapeDataString(id);

    public Task<JsonElement> GetAsync(string path, CancellationToken cancellation) => SendAsync(HttpMethod.Get, path, null, cancellation);

    public Task<JsonElement> PostAsync(string path, object? body, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Post, path, body, cancellation);

    public Task<JsonElement> PutAsync(string path, object body, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Put, path, body, cancellation);

    public Task<JsonElement> PatchAsync(string path, object body, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Patch, path, body, cancellation);

    public Task<JsonElement> DeleteAsync(string path, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Delete, path, null, cancellation);

    /// <summary>Where the server is not well, or cannot say so, warns on stderr: what it lists then is no all-clear.</summary>
    public async Task<bool> IsWellAsync(CancellationToken cancellation)
    {
        try
        {
            var health = await GetAsync("api/whistle/v1/health", cancellation);
            string[] failing = [.. health.Items("problems").Where(p => p.Text("state") is "degraded" or "failed")
                .Select(p => p.Text("component")).Distinct()];
            if (health.Text("state") is not ("degraded" or "failed"))
                return true;
            // Whoever does not see all tenants is told no more.
            var which = failing.Length > 0 ? $" ({string.Join(", ", failing)})" : "";
            await WarnAsync($"the server is {health.Text("state")}{which}, so this list may be incomplete or out "
                + "of date. Run `whistle health` for the reasons.");
        }
        catch (CommandException e)
        {
            await WarnAsync($"the server does not say how well it is ({e.Message}), so this list may be incomplete or out of date. "
                + "Run `whistle health`.");
        }

        return false;
    }

    /// <summary>Copies the answer as it is, however long it is.</summary>
    public Task CopyAsync(string path, Stream to, CancellationToken cancellation) => SpeakAsync(async () =>
    {
        using var response = await _http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (!response.IsSuccessStatusCode)
            return Answer(response, await response.Content.ReadAsStringAsync(cancellation));
        try
        {
            await response.Content.CopyToAsync(to, cancellation);
        }
        catch (HttpIOException e)
        {
            throw new CommandException($"The answer was cut off, so what was written is not all: {e.Message} Ask again.");
        }

        return default;
    }, cancellation);

    static Task WarnAsync(string what) => Console.Error.WriteLineAsync(Printable.Of($"Warning: {what}"));

    async Task<JsonElement> SendAsync(HttpMethod method, string path, object? content, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(method, path);
        // What is not given is left out, as in a request by hand.
        request.Content = content is null ? null : JsonContent.Create(content, options: Json);
        return await SpeakAsync(async () =>
        {
            using var response = await _http.SendAsync(request, cancellation);
            Now = response.Headers.Date ?? Now;
            return Answer(response, await response.Content.ReadAsStringAsync(cancellation));
        }, cancellation);
    }

    JsonElement Answer(HttpResponseMessage response, string body)
    {
        if (response.StatusCode is HttpStatusCode.Unauthorized)
            throw new CommandException($"The server at {_http.BaseAddress} rejected the token. "
                + "Name that server's folder with --data or a file with its token with --token-file, or another server with --server.");
        if (response.StatusCode is HttpStatusCode.NoContent)
            return default;
        return response.IsSuccessStatusCode || body.StartsWith('{')
            ? DataOf(JsonDocument.Parse(body).RootElement)
            : throw new CommandException(
                $"The server at {_http.BaseAddress} answered {(int)response.StatusCode}: {Printable.Of(body.Trim())}");
    }

    // What goes wrong on the way is said in a line.
    async Task<JsonElement> SpeakAsync(Func<Task<JsonElement>> speak, CancellationToken cancellation)
    {
        try
        {
            return await speak();
        }
        catch (HttpRequestException e) when (e.InnerException is AuthenticationException)
        {
            throw new CommandException(ServerTrust.Explanation(_http.BaseAddress!, e)!);
        }
        catch (HttpRequestException e)
        {
            throw new UnreachableException(ServerTrust.Explanation(_http.BaseAddress!, e) is { } explanation ? explanation
                : $"The server at {_http.BaseAddress} does not answer ({e.Message}). "
                + "Start it with `whistle serve`; if it listens elsewhere, name its address with --server or WHISTLE_SERVER.");
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new UnreachableException(
                $"The server at {_http.BaseAddress} did not answer within {_http.Timeout.TotalMinutes:0} minutes. "
                + "Ask for less, or see the server's log.");
        }
        catch (JsonException)
        {
            throw new UnreachableException($"What answers at {_http.BaseAddress} is not a Whistle server. Name another with --server.");
        }
    }

    static JsonElement DataOf(JsonElement answer)
    {
        // Whistle's own lists come bare; Prometheus's answers are wrapped.
        if (answer.ValueKind != JsonValueKind.Object)
            return answer;
        if (answer.TryGetProperty("error", out var error))
            throw new CommandException(Printable.Of(error.GetString()!));
        // The answer is of what could be read; a pipe must not take this for a part of it.
        if (answer.TryGetProperty("warnings", out var warnings) && warnings.ValueKind == JsonValueKind.Array)
        {
            foreach (var warning in warnings.EnumerateArray())
                Console.Error.WriteLine(Printable.Of($"Warning: {warning.GetString()}"));
        }

        return answer.TryGetProperty("data", out var data) ? data : answer;
    }
}
