using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The keys that cookies and forms are encrypted with.</summary>
public sealed class SessionKeyTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_key_encrypts_with_authentication_and_one_of_before_goes_on()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        using (await Browser.LoggedInAsync(server.App, Cancellation))
        {
            var key = await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(Path.Combine(server.Folder, "keys"))), Cancellation);
            Assert.Contains("<encryption algorithm=\"AES_256_GCM\"", key, StringComparison.Ordinal);
        }

        var folder = Older();
        await using (var older = await InProcessServer.StartAsync(Cancellation, folder, o => o with { RunTimers = false }))
        {
            using var browser = await Browser.LoggedInAsync(older.App, Cancellation);
            Assert.True(await browser.IsLoggedInAsync(older.App.Address, Cancellation));
            Assert.Single(Directory.GetFiles(Path.Combine(folder, "keys")));
        }

        Directory.Delete(folder, recursive: true);
    }

    // As versions before this made it.
    static string Older()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-key").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "keys"));
        PrivateText.Write(
            Path.Combine(folder, "keys", "key-5e0ec29a-4a07-4ee6-8ad2-f4b0ddd1b1a4.xml"),
            "<key id=\"5e0ec29a-4a07-4ee6-8ad2-f4b0ddd1b1a4\" version=\"1\"><creationDate>2026-01-01T00:00:00Z</creationDate>"
            + "<activationDate>2026-01-01T00:00:00Z</activationDate><expirationDate>2099-01-01T00:00:00Z</expirationDate>"
            + "<descriptor deserializerType=\"Microsoft.AspNetCore.DataProtection.AuthenticatedEncryption.ConfigurationModel."
            + "AuthenticatedEncryptorDescriptorDeserializer, Microsoft.AspNetCore.DataProtection\"><descriptor>"
            + "<encryption algorithm=\"AES_256_CBC\" /><validation algorithm=\"HMACSHA256\" /><masterKey><value>"
            + $"{Convert.ToBase64String([.. Enumerable.Range(0, 64).Select(i => (byte)i)])}</value></masterKey></descriptor>"
            + "</descriptor></key>");
        return folder;
    }
}
