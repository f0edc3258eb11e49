{#- Models of the comparison mart, in its column order; those that did not run have nulls there, so that its columns never change.
    A new credit model is one more entry. -#}
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
                "first_non_direct",
                "first_paid",
                "last_paid",
                "u_shaped",
                "w_shaped",
                "j_shaped",
                "inverse_j",
                "custom",
            ]
        )
    }}
{%- endmacro %}

{#- Finish a relation of raw credit (conversion_id, touchpoint_id, model_type, channel, campaign, position, raw_credit, revenue):
    drop what earned nothing and give the rounding remainder to the touch with the most credit, the later of equals, so that credit
    and revenue add up exactly. A remainder on a touch that earned almost nothing would turn it negative. The sums have an order,
    because threads adding doubles in another one change the last digits from run to run. -#}
{% macro conserve_credit(relation) -%}
    {%- set others -%}
        over (
            partition by conversion_id, model_type
            order by credit_rank desc
            rows between unbounded preceding and 1 preceding
        )
    {%- endset -%}
    select
        conversion_id,
        touchpoint_id,
        model_type,
        channel,
        campaign,
        case
            when credit_rank = 1 then 1 - coalesce(sum(raw_credit) {{ others }}, 0) else raw_credit
        end as credit,
        cast(
            case
                when credit_rank = 1
                then revenue - coalesce(sum(raw_revenue) {{ others }}, 0)
                else raw_revenue
            end as {{ type_of("money") }}
        ) as credited_revenue
    from
        (
            select
                *,
                cast(revenue * raw_credit as {{ type_of("money") }}) as raw_revenue,
                row_number() over (
                    partition by conversion_id, model_type order by raw_credit desc, position desc
                ) as credit_rank
            from {{ relation }}
            where raw_credit > 0
        ) as credited
{%- endmacro %}
