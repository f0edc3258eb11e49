-- A row is a platform's day whose unified spend is not what the source reported, in the account's own
-- currency.
{{ config(meta={"dagster": {"ref": {"name": "int_paid_budget__ad_spend_by_platform"}}}) }}
with
    reported as (
        {% for source_name, fields in ad_platform_maps().items() %}
            select
                '{{ source_name }}' as source,
                spend_on as date_on,
                sum(coalesce({{ fields["cost"] }}, 0)) as spend
            from {{ ref(fields["model"]) }}
            where spend_on is not null
            group by 1, 2
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    unified as (
        select source, date_on, sum(original_spend) as spend
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        group by source, date_on
    )

select reported.source, reported.date_on, reported.spend as reported, unified.spend as unified
from reported
left join unified on reported.source = unified.source and reported.date_on = unified.date_on
where abs(reported.spend - coalesce(unified.spend, 0)) > 0.000001
