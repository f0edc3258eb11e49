-- depends_on: {{ ref("int_crm__deal_stages") }}
-- depends_on: {{ ref("int_crm__deals") }}
-- depends_on: {{ ref("int_crm__stage_entries") }}
{% set conversions = conversions_of_kind("crm_stage") %}
{% if not conversions %} {{ no_conversion_events() }}
{%- else %}
    with
        stages as (select * from {{ ref("int_crm__deal_stages") }}),

        deals as (
            select
                deals.*,
                stages.label as stage_label,
                stages.display_order,
                stages.is_closed,
                coalesce(stages.is_closed, false) and not coalesce(stages.is_won, false) as is_lost,
                -- The close date of an open deal is the salesperson's forecast, often in the future. Where
                -- the
                -- vendor does not say when an open stage was entered, the last change is the latest moment it
                -- can have been.
                case
                    when coalesce(stages.is_closed, deals.closed_at <= deals.updated_at, true)
                    then coalesce(deals.closed_at, deals.updated_at)
                    else deals.updated_at
                end as reached_at
            from {{ ref("int_crm__deals") }} as deals
            left join
                stages
                on deals.source = stages.source
                and deals.pipeline_id = stages.pipeline_id
                and deals.stage_id = stages.stage_id
            -- A deal that is kept in two CRMs is one deal.
            where deals.is_primary_crm and not deals.is_archived
        ),

        -- Stages that deals are known to have stood in.
        passed as (
            select deals.source, deals.deal_id, deals.pipeline_id, stages.display_order, entries.entered_at
            from {{ ref("int_crm__stage_entries") }} as entries
            inner join deals on entries.source = deals.source and entries.deal_id = deals.deal_id
            inner join
                stages
                on deals.source = stages.source
                and deals.pipeline_id = stages.pipeline_id
                and entries.stage_id = stages.stage_id
            where not (coalesce(stages.is_closed, false) and not coalesce(stages.is_won, false))
        )

        {%- for conversion in conversions %}
            {%- set stage = text_or_null(conversion.get("stage") | lower) %},

            -- The stage may be named by its id or by the label people see. Two pipelines may both have it; a
            -- pipeline may have both, and then its earlier stage counts.
            wanted_{{ loop.index }} as (
                select
                    source,
                    pipeline_id,
                    min(display_order) as display_order,
                    min(case when is_closed then 1 else 0 end) = 1 as is_closed
                from stages
                where lower(stage_id) = {{ stage }} or lower(label) = {{ stage }}
                group by source, pipeline_id
            ),

            entered_{{ loop.index }} as (
                select passed.source, passed.deal_id, min(passed.entered_at) as entered_at
                from passed
                inner join
                    wanted_{{ loop.index }} as wanted
                    on passed.source = wanted.source
                    and passed.pipeline_id = wanted.pipeline_id
                where passed.display_order >= wanted.display_order
                group by passed.source, passed.deal_id
            )
        {%- endfor %}
    {%- for conversion in conversions %}
            {%- set stage = text_or_null(conversion.get("stage") | lower) %}
        select
            deals.deal_id as source_id,
            deals.source,
            {{ text_or_null(conversion.get("name")) }} as conversion_type,
            cast(null as {{ type_of("text") }}) as user_id,
            deals.contact_id,
            cast(null as {{ type_of("text") }}) as email_hash,
            cast(null as {{ type_of("text") }}) as device_id,
            cast(null as {{ type_of("text") }}) as subscription_id,
            {% if conversion.get("product") -%} {{ text_or_null(conversion.get("product")) }}
            {%- else -%} deals.product
            {%- endif %} as product,
            coalesce(entered.entered_at, deals.reached_at) as converted_at,
            {{ conversion_revenue(conversion, ["amount"]) }} as revenue,
            deals.currency
        from deals
        left join
            wanted_{{ loop.index }} as wanted
            on deals.source = wanted.source
            and deals.pipeline_id = wanted.pipeline_id
        left join
            entered_{{ loop.index }} as entered
            on deals.source = entered.source
            and deals.deal_id = entered.deal_id
        where
            lower(deals.stage_id) = {{ stage }}
            or lower(deals.stage_label) = {{ stage }}
            -- A deal further on has passed the stage, or conversions would vanish as deals progress. How
            -- far a
            -- lost one came only its history knows.
            or (deals.display_order > wanted.display_order and not deals.is_lost)
            -- A deal that was won and is not any more has brought nothing.
            or (entered.entered_at is not null and not wanted.is_closed)
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
