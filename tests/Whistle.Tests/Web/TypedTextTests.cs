using Whistle.Web.Parts;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class TypedTextTests
{
    [Fact]
    public void An_echo_of_the_address_takes_no_letter_away_that_was_typed_since()
    {
        var text = new TypedText();
        text.Take(null);
        text.Type("n");
        text.Type("no");
        text.Take("n");
        Assert.Equal("no", text.Text);
        text.Type("nod");
        text.Take("nod");
        Assert.Equal("nod", text.Text);
    }

    [Fact]
    public void Another_page_of_the_history_brings_its_own_text()
    {
        var text = new TypedText();
        text.Take("web");
        Assert.Equal("web", text.Text);
        text.Type("web-1");
        text.Take("web-1");
        text.Take("db");
        Assert.Equal("db", text.Text);
        text.Take(null);
        Assert.Equal("", text.Text);
    }
}
