//! What requests add up to.

use super::*;
use crate::telemetry::bounded::Bounded;
use crate::telemetry::tap::Usage;

fn ended(model: &str, status: u16) -> RequestEvent {
    RequestEvent {
        client: Some(Bounded::from("litellm")),
        model: Some(Bounded::from(model)),
        upstream: Some(Bounded::from("far")),
        status: Some(status),
        streaming: Some(true),
        attempts: 2,
        retries: 1,
        duration: Duration::from_millis(1100),
        ttfb: Some(Duration::from_millis(100)),
        bytes_in: 10,
        bytes_out: 100,
        usage: Some(Usage {
            prompt_tokens: Some(7),
            completion_tokens: Some(11),
            cached_tokens: Some(3),
            ..Usage::default()
        }),
        ..RequestEvent::default()
    }
}

fn text(metrics: &Metrics) -> String {
    let mut text = Exposition::default();
    metrics.write(&mut text);
    text.finish()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|found| found == line),
        "{line}\nis not in\n{text}"
    );
}

#[test]
fn requests_of_several_workers_add_up() {
    let mut one = Metrics::default();
    one.observe(&ended("gpt-5", 200));
    let mut two = Metrics::default();
    two.observe(&ended("gpt-5", 200));
    two.observe(&RequestEvent {
        error_code: Some("upstream_timeout"),
        ..ended("gpt-5", 504)
    });
    one.merge(&two);
    let text = text(&one);
    has(
        &text,
        "upstreamd_requests_total{client=\"litellm\",model=\"gpt-5\",upstream=\"far\",status=\"200\",error=\"\"} 2",
    );
    has(
        &text,
        "upstreamd_requests_total{client=\"litellm\",model=\"gpt-5\",upstream=\"far\",status=\"504\",error=\"upstream_timeout\"} 1",
    );
    has(
        &text,
        "gen_ai_server_request_duration_seconds_bucket{gen_ai_request_model=\"gpt-5\",upstream=\"far\",le=\"1.28\"} 3",
    );
    has(
        &text,
        "gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model=\"gpt-5\",upstream=\"far\",le=\"0.1\"} 2",
    );
    has(
        &text,
        "gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_request_model=\"gpt-5\",upstream=\"far\",le=\"0.1\"} 3",
    );
    has(
        &text,
        "gen_ai_client_token_usage_sum{gen_ai_token_type=\"input\",gen_ai_request_model=\"gpt-5\",upstream=\"far\"} 21",
    );
    has(
        &text,
        "upstreamd_tokens_total{kind=\"cached\",gen_ai_request_model=\"gpt-5\",upstream=\"far\"} 9",
    );
    has(&text, "upstreamd_retries_total 3");
    has(&text, "upstreamd_sent_bytes_total 300");
}

#[test]
fn models_that_clients_make_up_become_no_labels() {
    let mut metrics = Metrics::default();
    for number in 0..10_000 {
        metrics.observe(&ended(&format!("made-up-{number}"), 404));
    }
    has(
        &text(&metrics),
        "upstreamd_requests_total{client=\"litellm\",model=\"other\",upstream=\"far\",status=\"404\",error=\"\"} 10000",
    );
    assert_eq!((metrics.outcomes.len(), metrics.routes.len()), (1, 1));
}

#[test]
fn labels_are_bounded_even_where_every_name_is_answered() {
    let mut metrics = Metrics::default();
    for number in 0..10_000 {
        metrics.observe(&ended(
            &format!("answered-{number}"),
            200 + (number % 200) as u16,
        ));
    }
    assert!(
        metrics.outcomes.len() <= MOST_OUTCOMES + 200,
        "{}",
        metrics.outcomes.len()
    );
    assert!(metrics.routes.len() <= 65, "{}", metrics.routes.len());
}

#[test]
fn a_probe_is_no_request() {
    let mut metrics = Metrics::default();
    metrics.observe(&RequestEvent {
        is_probe: true,
        ..ended("", 200)
    });
    assert!(metrics.outcomes.is_empty());
}

#[test]
fn models_of_the_configuration_are_labels_however_many_others_there_are() {
    let mut metrics = Metrics::default();
    metrics.reserve(["mine"].into_iter());
    for number in 0..10_000 {
        let status = 200 + (number % 200) as u16;
        metrics.observe(&ended(&format!("answered-{number}"), status));
    }
    // Nor does it have to be answered well.
    metrics.observe(&ended("mine", 502));
    has(
        &text(&metrics),
        "upstreamd_requests_total{client=\"litellm\",model=\"mine\",upstream=\"far\",status=\"502\",error=\"\"} 1",
    );
    // After a reload it is one among others.
    metrics.reserve(std::iter::empty());
    metrics.observe(&ended("mine", 503));
    assert!(!text(&metrics).contains("model=\"mine\",upstream=\"far\",status=\"503\""));
}

#[test]
fn what_was_added_to_answered_requests_adds_up() {
    let mut one = Metrics::default();
    one.observe(&RequestEvent {
        added: Some(Duration::from_micros(30)),
        ..ended("m", 200)
    });
    one.observe(&ended("m", 200));
    let mut two = Metrics::default();
    two.merge(&one);
    two.merge(&one);
    let text = text(&two);
    has(
        &text,
        "upstreamd_added_latency_seconds_bucket{le=\"2.5e-05\"} 0",
    );
    has(
        &text,
        "upstreamd_added_latency_seconds_bucket{le=\"5e-05\"} 2",
    );
    has(&text, "upstreamd_added_latency_seconds_count 2");
}
