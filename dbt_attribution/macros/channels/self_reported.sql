{#- What people say brought them ("how did you hear about us"), as a channel. -#}
{#- Words only: lower case, umlauts and accents as plain letters, one space between and around. -#}
{% macro plain_words(value) -%}
    ' ' || trim(
        {{
            adapter.dispatch("words_of", "attribution")(
                "translate(replace(lower("
                ~ value
                ~ "), 'ß', 'ss'), 'äöüáàâãåéèêëíìîïóòôõúùûçñ', 'aouaaaaaeeeeiiiioooouuucn')"
            )
        }}
    )
    || ' '
{%- endmacro %}
{% macro duckdb__words_of(value) -%} regexp_replace({{ value }}, '[^a-z0-9]+', ' ', 'g'){%- endmacro %}
{% macro snowflake__words_of(value) -%} regexp_replace({{ value }}, '[^a-z0-9]+', ' '){%- endmacro %}

{#- Letters to change, add or drop. -#}
{% macro edit_distance(one, other) -%}
    {{ "editdistance" if target.type == "snowflake" else "levenshtein" }} ({{ one }}, {{ other }})
{%- endmacro %}

{#- `answers` is a relation with a column `response`; duplicates and nulls are fine. Columns out: response, said_channel,
    matched_phrase (of seeds/customer_source_mapping.csv; null when none was found), matched_by (phrase, spelling).

    Whole words are compared, so that "press" is not found in "WordPress"; `*` in a phrase stands for the rest of a word. A name
    (instagram) goes before a person (friend), a person before a search engine, that before a general word (search, blog); the
    longer phrase goes first. Together with a word for advertising a place becomes its paid channel. Answers in which no place is
    found are read once more with one wrong letter in a word of five to seven, two in a longer one: the first letter is seldom
    the wrong one. -#}
{% macro map_self_reported(answers, words_read=12) -%}
    with
        distinct_answers as (
            select response, {{ plain_words("response") }} as words
            from (select distinct response from {{ answers }} where response is not null) as given
        ),

        phrases as (
            select
                response as phrase,
                channel,
                nullif(paid_channel, '') as paid_channel,
                cast(precedence as integer) as precedence,
                channel = 'Paid Other' as is_advertising,
                '%' || replace(replace(' ' || response || ' ', '* ', ''), ' *', '') || '%' as pattern
            from {{ ref("customer_source_mapping") }}
        ),

        found as (
            select distinct_answers.response, phrases.*
            from distinct_answers
            inner join phrases on distinct_answers.words like phrases.pattern
        ),

        unplaced as (
            select response, words
            from distinct_answers
            where response not in (select response from found where not is_advertising)
        ),

        unknown_words as (
            {% for place in range(1, words_read + 1) %}
                select response, split_part(trim(words), ' ', {{ place }}) as word
                from unplaced
                {% if not loop.last %}
                    union all
                {% endif %}
            {% endfor %}
        ),

        respelled as (
            select
                unknown_words.response,
                phrases.phrase,
                phrases.channel,
                phrases.paid_channel,
                phrases.precedence,
                {{ edit_distance("unknown_words.word", "replace(phrases.phrase, '*', '')") }} as distance
            from unknown_words
            inner join
                phrases
                on left(unknown_words.word, 1) = left(phrases.phrase, 1)
                and abs(length(unknown_words.word) - length(replace(phrases.phrase, '*', ''))) <= 2
            where
                length(unknown_words.word) >= 5
                and length(replace(phrases.phrase, '*', '')) >= 5
                and phrases.phrase not like '% %'
                and not phrases.is_advertising
        ),

        candidates as (
            select response, phrase, channel, paid_channel, precedence, is_advertising, 0 as distance
            from found

            union all

            select response, phrase, channel, paid_channel, precedence, false as is_advertising, distance
            from respelled
            where distance <= case when length(replace(phrase, '*', '')) >= 8 then 2 else 1 end
        ),

        advertised as (
            select response, max(case when is_advertising then 1 else 0 end) as says_ad
            from found
            group by response
        ),

        chosen as (
            select *
            from candidates
            qualify
                row_number() over (
                    partition by response
                    order by is_advertising, distance, precedence, length(phrase) desc, phrase
                )
                = 1
        )

    select
        distinct_answers.response,
        case
            when chosen.phrase is null
            then 'Unassigned'
            when advertised.says_ad = 1 and chosen.paid_channel is not null
            then chosen.paid_channel
            else chosen.channel
        end as said_channel,
        chosen.phrase as matched_phrase,
        case
            when chosen.phrase is null then null when chosen.distance = 0 then 'phrase' else 'spelling'
        end as matched_by
    from distinct_answers
    left join chosen on distinct_answers.response = chosen.response
    left join advertised on distinct_answers.response = advertised.response
{%- endmacro %}
