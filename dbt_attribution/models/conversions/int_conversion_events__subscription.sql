{%- set conversions = conversions_of_kind("subscription") -%}
{%- if not conversions %} {{ no_conversion_events() }}
{%- else %}
    {%- for conversion in conversions %}
        select
            subscription_id as source_id,
            'backend' as source,
            {{ text_or_null(conversion.get("name")) }} as conversion_type,
            user_id,
            cast(null as {{ type_of("text") }}) as contact_id,
            cast(null as {{ type_of("text") }}) as email_hash,
            cast(null as {{ type_of("text") }}) as device_id,
            subscription_id,
            product,
            started_at as converted_at,
            {{ conversion_revenue(conversion, ["amount"]) }} as revenue,
            currency
        from {{ ref("stg_backend__subscriptions") }}
        {% if conversion.get("product") -%}
            where product = {{ text_or_null(conversion.get("product")) }}
        {%- endif %}
        {% if not loop.last %}
            union all
        {% endif %}
    {%- endfor %}
{%- endif %}
