-- An identifier's rows follow each other without gap or overlap from the beginning of time to an open end.
with
    ordered as (
        select
            identifier_type,
            identifier,
            valid_from,
            valid_to,
            lag(valid_to) over (
                partition by identifier_type, identifier order by valid_from
            ) as previous_valid_to,
            row_number() over (
                partition by identifier_type, identifier order by valid_from
            ) as row_number_of_identifier,
            lead(valid_from) over (
                partition by identifier_type, identifier order by valid_from
            ) as next_valid_from
        from {{ ref("int_identity__resolution") }}
    )

select *
from ordered
where
    (row_number_of_identifier = 1 and valid_from <> {{ beginning_of_time() }})
    or (row_number_of_identifier > 1 and (previous_valid_to is null or previous_valid_to <> valid_from))
    or (next_valid_from is null and valid_to is not null)
