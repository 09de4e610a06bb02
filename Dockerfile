# The server: docker build --target server. The agent, which needs root and the node's own tools: docker build --target agent.
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /source
COPY . .
RUN dotnet publish alerting/Whistle -p:PublishProfile=server -o /out/server && mkdir /out/data

FROM build AS build-agent
RUN apt-get update && apt-get install --yes --no-install-recommends clang zlib1g-dev && rm -rf /var/lib/apt/lists/*
RUN dotnet publish ingest/Whistle.Agent -c Release -r linux-x64 -o /out/agent

# No shell, no package manager, and a user without rights.
FROM mcr.microsoft.com/dotnet/runtime-deps:10.0-noble-chiseled AS server
COPY --from=build /out/server /app
COPY --from=build --chown=1654:1654 /out/data /data
ENV WHISTLE_DATA=/data
VOLUME /data
EXPOSE 9443
USER 1654:1654
ENTRYPOINT ["/app/whistle"]
CMD ["serve"]

# It runs as root in the node's own namespaces: its policy (/etc/whistle/policy.yaml) says what it may change.
FROM ubuntu:24.04 AS agent
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates smartmontools systemd util-linux && rm -rf /var/lib/apt/lists/*
COPY --from=build-agent /out/agent/whistle-agent /usr/local/bin/whistle-agent
ENTRYPOINT ["/usr/local/bin/whistle-agent"]
CMD ["run"]
