{{ config(schema="intermediate") }}
-- Phases of the weekly charts as people and past runs decided them; none before the first run.
select
    metric,
    segment_type,
    segment,
    phase_start_on,
    reason,
    decided_at,
    centre,
    mean_moving_range,
    baseline_points
from
    (
        {{
            optional_source_table(
                "monitoring",
                "chart_phase",
                {
                    "metric": "text",
                    "segment_type": "text",
                    "segment": "text",
                    "phase_start_on": "date",
                    "reason": "text",
                    "decided_at": "timestamp",
                    "centre": "double",
                    "mean_moving_range": "double",
                    "baseline_points": "bigint",
                },
            )
        }}
    ) as phases
where metric is not null
