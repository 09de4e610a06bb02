using System.Text;
using System.Xml;
using System.Xml.Linq;

using Microsoft.AspNetCore.DataProtection.AuthenticatedEncryption.ConfigurationModel;
using Microsoft.AspNetCore.DataProtection.Repositories;

using Whistle.Actions.Files;

namespace Whistle.Access;

/// <summary>
/// The keys that cookies are encrypted with, each a file that is written and read as every secret is. One that is damaged is set aside:
/// what it encrypted is no session any more, and that is all.
/// </summary>
/// <param name="say">Called with the description of a key that was set aside.</param>
sealed class KeyFolder(string folder, TimeProvider time, Action<string> say) : IXmlRepository
{
    const string Extension = ".xml";

    static readonly string[] Dates = ["creationDate", "activationDate", "expirationDate"];

    static readonly SecretForm Form = new(
        "a key of the server's sessions", 64 << 10,
        text => Parse(text) is not { } xml ? "is not XML." : IsKey(xml) || IsRevocation(xml) ? null : "is not a session key.");

    public IReadOnlyCollection<XElement> GetAllElements()
    {
        // Without the folder no key could be made, and nobody log in.
        if (File.Exists(folder))
            say($"{folder} is a file, where the folder of the session keys belongs. "
                + $"It is set aside as {new SecretFile(folder, Form).SetAside(time)}.");
        return Directory.Exists(folder)
            ? [.. Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal).Select(Read).OfType<XElement>()] : [];
    }

    public void StoreElement(XElement element, string friendlyName)
    {
        Directory.CreateDirectory(folder);
        // The name is the framework's: "key-" or "revocation-" and an id.
        WholeFile.Replace(
            Path.GetFullPath(Path.Combine(folder, friendlyName + Extension)),
            Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting)));
    }

    XElement? Read(string path)
    {
        var file = new SecretFile(path, Form);
        try
        {
            return Parse(file.Read());
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Damaged)
        {
            say($"{e.Message} It is set aside as {file.SetAside(time)}; whoever it logged in logs in again.");
            return null;
        }
    }

    static XElement? Parse(string text)
    {
        try
        {
            return XElement.Parse(text);
        }
        catch (XmlException)
        {
            return null;
        }
    }

    // What the framework would refuse later, in the midst of a login.
    static bool IsKey(XElement xml) => xml.Name == "key" && Succeeds(() =>
    {
        _ = (Guid)xml.Attribute("id")!;
        foreach (var date in Dates)
            _ = (DateTimeOffset)xml.Element(date)!;
        var descriptor = xml.Element("descriptor")!;
        var type = typeof(AuthenticatedEncryptorDescriptorDeserializer);
        if (((string)descriptor.Attribute("deserializerType")!).Split(',')[0] != type.FullName)
            throw new FormatException();
        new AuthenticatedEncryptorDescriptorDeserializer().ImportFromXml(descriptor.Elements().Single());
    });

    static bool IsRevocation(XElement xml) => xml.Name == "revocation" && Succeeds(() =>
    {
        _ = (DateTimeOffset)xml.Element("revocationDate")!;
        if ((string)xml.Element("key")!.Attribute("id")! != "*")
            _ = (Guid)xml.Element("key")!.Attribute("id")!;
    });

    static bool Succeeds(Action read)
    {
        try
        {
            read();
            return true;
        }
        catch (Exception)
        {
            // The framework's own reading has no list of what it throws.
            return false;
        }
    }
}
