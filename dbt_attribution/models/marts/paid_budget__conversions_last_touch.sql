-- The same under last touch alone: what the platforms' own reports are usually held against.
select * from {{ ref("paid_budget__conversions") }} where model_type = 'last_touch'
