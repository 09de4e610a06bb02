using System.Security.Claims;

using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Detectors.Http;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.State;

namespace Whistle.Tests;

/// <summary>For a part of the API on its own: everybody is the machine's own user.</summary>
static class LocalCaller
{
    public static ClaimsPrincipal User { get; } = new(new ClaimsIdentity(
        [new(ClaimTypes.Name, "operator"), new(PeopleDirectory.IdentityClaim, PeopleDirectory.Local)], "test"));

    public static WebApplicationBuilder Builder()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddAuthorization()
            .AddSingleton(StateDatabase.InMemory()).AddSingleton(TimeProvider.System).AddSingleton<AuditLog>()
            .AddSingleton<FaultReferences>()
            .AddCallers("", new());
        return builder;
    }

    /// <summary>In front of the routes.</summary>
    public static void Use(WebApplication app)
    {
        app.Use((context, next) =>
        {
            context.User = User;
            return next(context);
        });
        app.UseAuthorization();
    }
}
