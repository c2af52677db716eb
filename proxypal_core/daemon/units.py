"""What the machine's own service managers need to run the daemon: a systemd unit, a launchd agent."""

import plistlib
import re
from collections.abc import Mapping, Sequence

UNIT = "proxypal.service"
LABEL = "ai.openclaw.proxypal"
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def systemd_unit(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """A unit for a user's own systemd that runs *command*, with *environment* added.

    It may do what the daemon and the programs that it runs for backends do: read and write the home
    folder, compile at run time (Node does), make sandboxes of their own. All else is taken away that
    needs no privilege to take.
    """
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]
    program, *arguments = command
    return _UNIT.format(
        command=" ".join((_quoted(program), *map(_argument, arguments))),
        environment="".join(f"{line}\n" for line in lines),
    )


_UNIT = """\
[Unit]
Description=ProxyPal: one local endpoint for AI models
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
{environment}# Keys such as ANTHROPIC_API_KEY, a line each; the file need not exist.
EnvironmentFile=-%E/proxypal/environment
WatchdogSec=30
Restart=on-failure
RestartSec=2
# Already running, and bad settings: trying again mends neither.
RestartPreventExitStatus=75 78
# The daemon lets answers finish for 30 seconds. It ends the programs that it runs by itself.
TimeoutStopSec=45
KillMode=mixed
UMask=0077
LimitNOFILE=65536
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """*word*, meant as it is, in a unit's line (``systemd.syntax(7)``, ``systemd.unit(5)``)."""
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _argument(word: str) -> str:
    """As ``_quoted``, where ``$`` would name a variable: behind the program, not in its path
    (``systemd.service(5)``).
    """
    return _quoted(word.replace("$", "$$"))


def launchd_agent(command: Sequence[str], environment: Mapping[str, str], log: str) -> bytes:
    """A property list for a user's own launchd that runs *command* with *environment*; what it says
    goes to the file *log*.
    """
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": list(command),
            "EnvironmentVariables": dict(environment),
            "RunAtLoad": True,
            # Again after a crash, and not after a proper end. What cannot succeed is thereby tried
            # again too, every so many seconds: launchd does not tell exit codes apart.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 30,
            "ExitTimeOut": 45,
            "ProcessType": "Interactive",
            "Umask": 0o077,
            "SoftResourceLimits": {"NumberOfFiles": 8192},
            "StandardOutPath": log,
            "StandardErrorPath": log,
        },
        sort_keys=False,
    )
