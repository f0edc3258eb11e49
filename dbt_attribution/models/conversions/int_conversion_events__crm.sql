{%- set conversions = conversions_of_kind("crm_stage") -%}
{%- if not conversions %} {{ no_conversion_events() }}
{%- else %}
    with
        deals as (
            select
                deals.*,
                lower(stages.label) as stage_label,
                -- A deal's primary contact is the first in the vendor's list.
                {{ extract_group("deals.contact_ids", "([0-9A-Za-z-]+)") }} as contact_id
            from {{ ref("stg_hubspot__deals") }} as deals
            left join
                {{ ref("stg_hubspot__deal_stages") }} as stages
                on deals.pipeline_id = stages.pipeline_id
                and deals.stage_id = stages.stage_id
            where not coalesce(deals.is_archived, false)
        )

    {%- for conversion in conversions %}
        select
            deal_id as source_id,
            'hubspot' as source,
            '{{ conversion.get("name") }}' as conversion_type,
            cast(null as {{ type_of("text") }}) as user_id,
            contact_id,
            cast(null as {{ type_of("text") }}) as email_hash,
            cast(null as {{ type_of("text") }}) as device_id,
            cast(null as {{ type_of("text") }}) as subscription_id,
            {% if conversion.get("product") -%} {{ text_or_null(conversion.get("product")) }}
            {%- else -%} product
            {%- endif %} as product,
            coalesce(closed_at, updated_at) as converted_at,
            {{ conversion_revenue(conversion, ["amount"]) }} as revenue,
            currency
        from deals
        -- The stage may be named by its id or by the label people see.
        where
            lower(stage_id) = '{{ conversion.get("stage") | lower }}'
            or stage_label = '{{ conversion.get("stage") | lower }}'
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
