{%- set conversions = conversions_of_kind("crm_stage") -%}
{%- if not conversions %} {{ no_conversion_events() }}
{%- else %}
    with
        stages as (select * from {{ ref("stg_hubspot__deal_stages") }}),

        deals as (
            select
                deals.*,
                stages.label as stage_label,
                stages.display_order,
                stages.is_closed,
                coalesce(stages.is_closed, false) and not coalesce(stages.is_won, false) as is_lost,
                -- A deal's primary contact is the first in the vendor's list.
                {{ extract_group("deals.contact_ids", "([0-9A-Za-z-]+)") }} as contact_id,
                -- The close date of an open deal is the salesperson's forecast, often in the future. The
                -- vendor
                -- does not
                -- say when an open stage was entered: the last change is the latest moment it can have been.
                case
                    when coalesce(stages.is_closed, deals.closed_at <= deals.updated_at, true)
                    then coalesce(deals.closed_at, deals.updated_at)
                    else deals.updated_at
                end as reached_at
            from {{ ref("stg_hubspot__deals") }} as deals
            left join stages on deals.pipeline_id = stages.pipeline_id and deals.stage_id = stages.stage_id
            where not coalesce(deals.is_archived, false)
        )

    {%- for conversion in conversions %}
            {%- set stage = text_or_null(conversion.get("stage") | lower) %}
        select
            deals.deal_id as source_id,
            'hubspot' as source,
            {{ text_or_null(conversion.get("name")) }} as conversion_type,
            cast(null as {{ type_of("text") }}) as user_id,
            deals.contact_id,
            cast(null as {{ type_of("text") }}) as email_hash,
            cast(null as {{ type_of("text") }}) as device_id,
            cast(null as {{ type_of("text") }}) as subscription_id,
            {% if conversion.get("product") -%} {{ text_or_null(conversion.get("product")) }}
            {%- else -%} deals.product
            {%- endif %} as product,
            deals.reached_at as converted_at,
            {{ conversion_revenue(conversion, ["amount"]) }} as revenue,
            deals.currency
        from deals
        -- The stage may be named by its id or by the label people see. Two pipelines may both have it; a
        -- pipeline
        -- may
        -- have both, and then its earlier stage counts.
        left join
            (
                select pipeline_id, min(display_order) as display_order
                from stages
                where lower(stage_id) = {{ stage }} or lower(label) = {{ stage }}
                group by pipeline_id
            ) as wanted
            on deals.pipeline_id = wanted.pipeline_id
        where
            lower(deals.stage_id) = {{ stage }}
            or lower(deals.stage_label) = {{ stage }}
            -- A deal further on has passed the stage, or conversions would vanish as deals progress. Of a
            -- lost
            -- one nobody
            -- knows how far it came.
            or (deals.display_order > wanted.display_order and not deals.is_lost)
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
