-- A row is a platform's day and campaign whose unified spend is not what staging holds, in the account's
-- own currency.
{{ config(meta={"dagster": {"ref": {"name": "int_paid_budget__ad_spend_by_platform"}}}) }}
with
    reported as (
        {% for source_name, fields in ad_platform_maps().items() %}
            select
                '{{ source_name }}' as source,
                spend_on as date_on,
                coalesce({{ fields["campaign_id"] }}, '(not set)') as campaign_id,
                sum(coalesce({{ fields["cost"] }}, 0)) as spend
            from {{ ref(fields["model"]) }}
            where spend_on is not null
            group by 1, 2, 3
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

    {{ spend_differs("reported") }}
