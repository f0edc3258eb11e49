-- A row is a platform's day and campaign whose unified spend is not what its raw table holds, in the
-- account's own currency.
{{ config(meta={"dagster": {"ref": {"name": "int_paid_budget__ad_spend_by_platform"}}}) }}
with
    reported as (
        {% for source_name, fields in ad_platform_maps().items() %}
            {% set raw = fields["raw"] %}
            select
                '{{ source_name }}' as source,
                {{ raw["day"] }} as date_on,
                coalesce({{ raw["campaign"] }}, '(not set)') as campaign_id,
                sum(coalesce({{ raw["cost"] }}, 0)) / {{ raw["units"] }} as spend
            from
                (
                    {{
                        raw_table(
                            source_name,
                            raw["table"],
                            {raw["day"]: "date", raw["campaign"]: "text", raw["cost"]: raw["kind"]},
                        )
                    }}
                ) as sent
            where {{ raw["day"] }} is not null
            group by 1, 2, 3
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

    {{ spend_differs("reported") }}
