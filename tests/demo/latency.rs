//! What upstreamd adds to a small request, measured.

use std::time::{Duration, Instant};

use crate::completions::Door;
use crate::screen::Screen;
use crate::support::client::Client;

/// Requests through each door.
const REQUESTS: usize = 500;

/// Through one door before the other's turn, so that both see the same machine.
const ROUND: usize = 50;

/// Before measuring: connections, pools and caches get warm.
const WARM_UP: usize = 50;

const REQUEST: &str =
    r#"{"model":"gpt-5","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}"#;

/// Measures and shows; without `through` only the upstream's own time.
pub(crate) fn table(
    screen: &Screen,
    straight: &Door,
    through: Option<&Door>,
) -> Result<(), String> {
    screen.heading(&format!(
        "What it costs: {REQUESTS} small requests each way, on warm connections"
    ));
    let mut straight = Course::new(straight)?;
    let mut through = through.map(Course::new).transpose()?;
    for _ in 0..REQUESTS / ROUND {
        straight.run(ROUND)?;
        if let Some(through) = &mut through {
            through.run(ROUND)?;
        }
    }
    screen.row(["", "median", "p99"]);
    let direct = straight.result();
    screen.row([
        "straight to the upstream (TLS)",
        &us(direct.0),
        &us(direct.1),
    ]);
    if let Some(through) = through {
        let via = through.result();
        screen.row(["through upstreamd", &us(via.0), &us(via.1)]);
        screen.total([
            "added by upstreamd",
            &us(via.0 - direct.0),
            &us(via.1 - direct.1),
        ]);
    }
    Ok(())
}

/// One door, one connection, and the times so far.
struct Course<'a> {
    door: &'a Door<'a>,
    client: Client,
    times: Vec<Duration>,
}

impl<'a> Course<'a> {
    fn new(door: &'a Door<'a>) -> Result<Course<'a>, String> {
        let mut course = Course {
            door,
            client: door.connect()?,
            times: Vec::new(),
        };
        course.run(WARM_UP)?;
        course.times.clear();
        Ok(course)
    }

    fn run(&mut self, requests: usize) -> Result<(), String> {
        for _ in 0..requests {
            let asked = Instant::now();
            self.door.ask(&mut self.client, REQUEST)?;
            let answer = self.client.answer();
            self.times.push(asked.elapsed());
            if answer.status() != 200 {
                let text = answer.body.text();
                return Err(format!(
                    "status {} while measuring: {text}",
                    answer.status()
                ));
            }
        }
        Ok(())
    }

    /// Median and 99th percentile, microseconds.
    fn result(mut self) -> (f64, f64) {
        self.times.sort_unstable();
        let at = |percent: usize| {
            let place = (self.times.len() * percent / 100).min(self.times.len() - 1);
            self.times[place].as_secs_f64() * 1e6
        };
        (at(50), at(99))
    }
}

fn us(microseconds: f64) -> String {
    format!("{microseconds:.0} us")
}
