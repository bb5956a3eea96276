//! What the kernel says about a running process: proc(5).

use std::fs;
use std::time::Duration;

/// A process, by its id.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Resident memory now, bytes.
    pub fn rss(self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Resident memory at its highest so far, bytes.
    pub fn peak_rss(self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Whether this user may look into it: a daemon keeps its descriptors and
    /// counters to root (PR_SET_DUMPABLE). Says that a test is skipped if not.
    pub fn can_be_looked_into(self) -> bool {
        let can = fs::read_dir(format!("/proc/{}/fd", self.0)).is_ok();
        if !can {
            eprintln!("skipped: only root can look into the daemon");
        }
        can
    }

    /// Open descriptors.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .map(Iterator::count)
            .unwrap_or(0)
    }

    /// Threads.
    pub fn threads(self) -> u64 {
        self.status("Threads:")
    }

    /// CPU time used so far, user and system, to the clock tick (10 ms).
    pub fn cpu_time(self) -> Duration {
        /// USER_HZ, 100 on every Linux of today.
        const TICK: Duration = Duration::from_millis(10);

        let stat = self.read("stat");
        // The command's name, in parentheses, may hold blanks: count behind it.
        // utime and stime are the fields 14 and 15, the state is field 3.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u32 = fields
            .split_whitespace()
            .skip(14 - 3)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u32>().ok())
            .sum();
        TICK * ticks
    }

    /// Calls of write(2) and writev(2) so far; send(2) and its like don't count.
    pub fn writes(self) -> u64 {
        let io = self.read("io");
        let line = io.lines().find_map(|line| line.strip_prefix("syscw: "));
        line.and_then(|count| count.parse().ok())
            .expect("/proc/PID/io counts calls")
    }

    fn status_kib(self, name: &str) -> u64 {
        self.status(name) * 1024
    }

    fn status(self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or_else(|| panic!("/proc/{}/status has no {name}", self.0))
    }

    fn read(self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("can't read {path}: {error}"))
    }
}
