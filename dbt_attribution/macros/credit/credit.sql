{#- Models of the comparison mart, in its column order. A new credit model is one more entry. -#}
{% macro credit_models() -%}
    {{
        return(
            [
                "first_touch",
                "last_touch",
                "last_non_direct",
                "linear",
                "time_decay",
                "position_based",
                "markov",
                "shapley",
                "hazard",
            ]
        )
    }}
{%- endmacro %}

{#- Finish a relation of raw credit (conversion_id, touchpoint_id, model_type, channel, campaign, position, raw_credit, revenue):
    drop what earned nothing and give the rounding remainder to the last touch, so that credit and revenue add up exactly. -#}
{% macro conserve_credit(relation) -%}
    select
        conversion_id,
        touchpoint_id,
        model_type,
        channel,
        campaign,
        case
            when from_the_end = 1
            then
                1 - coalesce(
                    sum(case when from_the_end > 1 then raw_credit end) over (
                        partition by conversion_id, model_type
                    ),
                    0
                )
            else raw_credit
        end as credit,
        cast(
            case
                when from_the_end = 1
                then
                    revenue - coalesce(
                        sum(
                            case
                                when from_the_end > 1
                                then cast(revenue * raw_credit as {{ type_of("money") }})
                            end
                        ) over (partition by conversion_id, model_type),
                        0
                    )
                else cast(revenue * raw_credit as {{ type_of("money") }})
            end as {{ type_of("money") }}
        ) as credited_revenue
    from
        (
            select
                *,
                row_number() over (
                    partition by conversion_id, model_type order by position desc
                ) as from_the_end
            from {{ relation }}
            where raw_credit > 0
        ) as credited
{%- endmacro %}
