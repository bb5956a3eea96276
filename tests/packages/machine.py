"""A machine that upstreamd is installed on, upgraded and removed."""

import subprocess

from boxes import CLIENT_KEY, UPSTREAM_KEY

# What an upgrade must not touch, and what ends a removal.
SOCKETS = ["upstreamd.socket", "upstreamd-admin.socket"]

# Where dpkg, apt, the journal and systemd keep accounts of everything; of dpkg's the
# files of each package are looked at. Backups of the user data base come and go.
BOOKS = """
/proc /sys /dev /tmp /root /var/log /var/cache /var/lib/apt /var/lib/rpm /var/lib/dpkg/triggers /var/lib/dpkg/updates
/var/lib/dpkg/status /var/lib/dpkg/status-old /var/lib/dpkg/available /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend
/var/lib/dpkg/diversions /var/lib/dpkg/diversions-old /var/lib/dpkg/statoverride-old /run/systemd/units /run/systemd/transient
/run/log /run/credentials /run/systemd/propagate /run/systemd/incoming /run/systemd/journal /run/systemd/sessions
/etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock
""".split()


class Machine:
    def __init__(self, service):
        self.service, self.box = service, service.box

    def apt(self, *command, **options):
        """apt-get as in a script that nobody watches; gives what it printed."""
        return self.box.sh('DEBIAN_FRONTEND=noninteractive apt-get -y "$@" 2>&1', *command, **options)

    def install(self, package, *options):
        return self.apt("install", "--allow-downgrades", *options, str(package))

    def install_configured(self, package):
        self.install(package)
        self.configure()

    def configure(self):
        """As an administrator would go on: an upstream, its key, a client key."""
        self.box.sh('install -m 644 "$1" /etc/upstreamd/ca.pem', self.service.upstream["ca_file"])
        self.service.configure(self.service.config())
        self.service.key("test", UPSTREAM_KEY)
        self.service.key("client.test", CLIENT_KEY)

    def clean(self):
        """Whatever a test left, as it was before."""
        self.box.sh(
            """
            systemctl stop upstreamd.socket upstreamd-admin.socket upstreamd.service 2>/dev/null || true
            dpkg --purge --force-all upstreamd >/dev/null 2>&1 || true
            rm -rf /etc/systemd/system/upstreamd* /usr/sbin/policy-rc.d
            systemctl daemon-reload
            systemctl reset-failed
            """
        )

    def status(self):
        """dpkg's word for the package."""
        return self.box.run("dpkg-query", "-W", "-f", "${Status} ${Version}", "upstreamd").stdout

    def paths(self):
        """Every path there is, but for those of bookkeeping, and the users."""
        prune = " -o ".join(f"-path {path}" for path in BOOKS)
        found = self.box.sh(f"find / /run -xdev \\( {prune} \\) -prune -o -print; getent passwd; getent group")
        return set(found.splitlines())

    def active(self):
        """Units of upstreamd's that are up, or on the way."""
        listed = self.box.sh("systemctl list-units --plain --no-legend --full 'upstreamd*'")
        return {line.split()[0] for line in listed.splitlines() if line.split()[2] in ("active", "activating", "reloading", "deactivating")}

    def sockets(self):
        """The kernel's numbers of the listening sockets: a new socket has a new one."""
        listed = self.box.sh("ss --no-header --listening --extended --numeric --tcp; ss --no-header --listening --extended --numeric --unix")
        return sorted(line for line in listed.splitlines() if "4000" in line or "/run/upstreamd" in line)
