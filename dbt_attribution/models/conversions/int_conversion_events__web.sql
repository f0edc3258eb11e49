-- depends_on: {{ ref("int_events__unified") }}
{% set conversions = conversions_of_kind("event") %}
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
                        {{ text_or_null(conversion.get("event_name")) }}{% if not loop.last %}, {% endif %}
                    {%- endfor -%}
                )
        ),

        -- The product's backend, an analytics tag and a vendor's server may each record one sign-up.
        -- The first of the web sources counts; a row of the next, or of the backend, only where the tag
        -- was blocked: where no better source has the same device or user within an hour.
        seen_twice as (
            -- One join an identifier: with `or` in one join only the event's name is left to hash on, and a
            -- hundred thousand sign-ups become ten thousand million pairs.
            {%- for identifier in ["device_id", "user_id"] %}
                select backend.event_id
                from events as backend
                inner join
                    events as analytics
                    on backend.event_name = analytics.event_name
                    and backend.{{ identifier }} = analytics.{{ identifier }}
                    and abs({{ seconds_between("analytics.occurred_at", "backend.occurred_at") }}) <= 3600
                where
                    (backend.source = 'backend' and analytics.source <> 'backend')
                    or {{ web_source_rank("backend.source") }} > {{ web_source_rank("analytics.source") }}
                {% if not loop.last %}
                    union
                {% endif %}
            {%- endfor %}
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
            {{ text_or_null(conversion.get("name")) }} as conversion_type,
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
        where event_name = {{ text_or_null(conversion.get("event_name")) }}
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
