-- How models fare, added up over all processes.
CREATE TABLE provider_health (
    id              text PRIMARY KEY, -- the model's name
    provider        text NOT NULL,
    status          text NOT NULL CHECK (status IN ('healthy', 'failing', 'resting')),
    disabled_reason text,
    calls           bigint NOT NULL DEFAULT 0,
    failures        bigint NOT NULL DEFAULT 0,
    latency_ms      bigint NOT NULL DEFAULT 0, -- of all that did not fail
    success_rate    numeric GENERATED ALWAYS AS (CASE WHEN calls > 0 THEN round((calls - failures)::numeric / calls, 4) END) STORED,
    avg_latency_ms  bigint GENERATED ALWAYS AS (CASE WHEN calls > failures THEN latency_ms / (calls - failures) END) STORED,
    last_failure_at timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT now()
);
