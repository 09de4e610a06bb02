namespace Whistle.Telemetry;

public enum RemoteWriteVersion
{
    V1,
    V2,
}
