{%- set conversions = conversions_of_kind("event") -%}
{%- if not conversions %} {{ no_conversion_events() }}
{%- else %}
    with
        events as (
            select *
            from {{ ref("int_events__unified") }}
            where
                not is_bot
                and event_name in (
                    {%- for conversion in conversions -%}
                        '{{ conversion.get("event_name") }}'{% if not loop.last %}, {% endif %}
                    {%- endfor -%}
                )
        ),

        -- The product's own backend and the analytics tag both record a sign-up. The analytics row counts;
        -- the
        -- backend's counts only where the tag was blocked, that is, where no analytics row of the same device
        -- or user lies within an hour.
        seen_twice as (
            select distinct backend.event_id
            from events as backend
            inner join
                events as analytics
                on backend.event_name = analytics.event_name
                and (backend.device_id = analytics.device_id or backend.user_id = analytics.user_id)
                and abs({{ seconds_between("analytics.occurred_at", "backend.occurred_at") }}) <= 3600
            where backend.source = 'backend' and analytics.source <> 'backend'
        ),

        counted as (
            select events.*
            from events
            left join seen_twice on events.event_id = seen_twice.event_id
            where seen_twice.event_id is null
        )

    {%- for conversion in conversions %}
        select
            event_id as source_id,
            source,
            '{{ conversion.get("name") }}' as conversion_type,
            user_id,
            cast(null as {{ type_of("text") }}) as contact_id,
            email_hash,
            device_id,
            cast(null as {{ type_of("text") }}) as subscription_id,
            {{ text_or_null(conversion.get("product")) }} as product,
            occurred_at as converted_at,
            {{ conversion_revenue(conversion, ["value"]) }} as revenue,
            '{{ var("reporting_currency") }}' as currency
        from counted
        where event_name = '{{ conversion.get("event_name") }}'
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
