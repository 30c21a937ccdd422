//! The one suite that every storage engine passes.
//!
//! An engine gives a [`Fixture`] and calls [`conformance_suite!`], which expands to one `#[test]` for each case. The
//! cases know the traits of `olmstead_storage` only: what they ask of an engine is what the rest of the server relies
//! on. The property tests (module `model`) hold an engine against plain maps; `OLMSTEAD_CONFORMANCE_SEED` and
//! `OLMSTEAD_CONFORMANCE_STEPS` choose their random commands.
//!
//! Adding a case is a function in `cases` and its name in the list below.

// A test that fails panics: that is what this crate is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// What is expected reads best as a list, also with one item.
#![allow(clippy::cloned_ref_to_slice_refs)]

pub mod cases;
mod crash;
pub mod driver;
mod fixture;
mod model;
pub mod oracle;
pub mod random;
mod support;

pub use fixture::{Fixture, Store, run};

/// Expands to one test for each case, held against the engine of a [`Fixture`].
///
/// Call it once in an integration test of the engine, in the root of the file.
#[macro_export]
macro_rules! conformance_suite {
    ($fixture:ident) => {
        $crate::tests_of_cases! { $fixture;
            server {
                a_store_keeps_its_signing_key_and_its_name
                of_parallel_first_starts_one_signing_key_is_kept
                a_store_answers_and_names_its_engine
                a_closed_store_refuses_commands
                two_stores_do_not_mix
            }
            accounts {
                an_account_is_created_once
                of_parallel_creations_one_wins
                an_account_may_start_with_a_session
                a_new_password_logs_out_the_other_devices
                a_new_password_may_leave_devices_alone
                only_active_accounts_get_a_password
                deactivation_takes_everything_but_the_name
                deactivation_takes_cross_signing_keys_and_backups
                deactivation_erases_account_data_if_asked
                standing_is_set_flag_by_flag
                users_are_found_by_id_and_display_name
                accounts_survive_a_restart
            }
            sessions {
                a_login_makes_a_device
                nobody_logs_in_to_an_account_that_is_not_there
                a_user_has_a_bounded_number_of_devices
                a_login_to_a_known_device_keeps_it_and_ends_its_tokens
                device_ids_are_unique_for_one_user_only
                a_device_id_may_not_be_a_cross_signing_key
                parallel_logins_make_one_device_with_one_token
                a_lost_refresh_is_asked_for_again
                using_the_new_access_token_ends_the_old_ones
                using_the_new_refresh_token_ends_the_old_one
                tokens_are_refreshed_in_a_chain
                unknown_tokens_are_nobody
                replaced_tokens_are_known_while_their_device_lives
                the_memory_of_replaced_tokens_is_bounded
                an_expired_token_is_still_known
                retiring_nothing_changes_nothing
                sessions_survive_a_restart
            }
            devices {
                devices_come_in_the_order_of_their_ids
                a_device_is_renamed
                a_device_is_seen
                a_deleted_device_takes_everything_along
                the_same_id_starts_empty_again
                an_old_life_of_a_device_does_nothing
                a_device_with_keys_makes_a_device_list_change
                a_device_without_keys_makes_none
                a_selection_of_devices_is_deleted
                signatures_by_a_deleted_device_go_with_it
                an_upload_that_loses_to_deletion_leaves_nothing
                of_parallel_deletions_one_deletes
                generations_are_never_used_again
                device_list_changes_are_read_by_span
            }
            registration_tokens {
                a_token_is_kept_once
                tokens_come_in_pages
                a_use_is_counted_with_its_account
                a_token_that_is_over_makes_no_account
                a_name_that_is_taken_uses_nothing_up
                of_parallel_registrations_as_many_win_as_are_allowed
                a_deleted_token_makes_no_account
                registration_tokens_survive_a_restart
            }
            audit {
                the_record_is_read_from_its_end
                parallel_entries_are_all_there
                the_record_survives_a_restart
            }
            repair {
                dropped_one_time_keys_are_spent
                dropping_nothing_tells_the_device
                a_claim_beside_a_drop_takes_a_key_or_none
                an_announced_device_list_is_a_change
            }
            inspection {
                accounts_come_in_pages
                rooms_come_in_pages
                a_store_has_a_size
                the_health_of_devices_is_read
                a_changed_identity_is_told
                the_traces_of_a_user_are_read
                a_quiet_store_has_no_lag
            }
            keys {
                counts_are_of_unclaimed_keys_by_algorithm
                keys_are_claimed_in_the_order_of_uploads
                the_same_key_again_is_not_counted_twice
                a_conflict_stores_no_part_of_the_upload
                a_claimed_key_does_not_come_back_with_a_late_upload
                the_memory_of_claimed_keys_is_bounded
                a_full_pool_keeps_the_newest_keys
                a_key_that_fell_out_of_a_full_pool_is_spent
                a_conflict_with_a_key_about_to_be_dropped_is_one
                a_claim_names_one_algorithm
                claims_of_many_devices_are_one_command
                what_cannot_be_claimed_is_absent
                claimed_keys_stay_claimed_over_a_restart
                parallel_claims_get_every_key_once
                parallel_claims_of_many_devices_do_not_block_each_other
                counts_hold_under_parallel_uploads_and_claims
                parallel_uploads_of_one_key_store_it_once
            }
            fallback_keys {
                a_fallback_key_serves_when_the_pool_is_empty
                a_new_fallback_key_replaces_the_old_one
                the_same_fallback_key_stays_used
                a_used_fallback_key_is_never_reported_unused
                a_fallback_key_is_of_one_algorithm
                fallback_keys_survive_a_restart
                a_wish_may_spare_one_time_keys
                a_spared_pool_keeps_its_keys
            }
            identity_keys {
                identity_keys_come_back_as_uploaded
                identical_identity_keys_change_nothing
                an_upload_without_known_signatures_keeps_them
                a_new_identity_drops_the_keys_of_the_old_one
                a_query_answers_in_the_order_asked
                the_unknown_is_absent_from_a_query
                a_query_shows_the_current_display_name
            }
            cross_signing {
                keys_are_put_at_the_revision_they_were_read
                of_parallel_writers_one_wins
                a_public_key_may_not_be_a_device_id
                keys_are_of_an_active_account
                a_new_master_key_changes_the_device_list
                a_new_user_signing_key_is_for_the_owner_alone
                a_new_master_key_loses_signatures_of_others
                keys_of_users_do_not_mix
                cross_signing_keys_survive_a_restart
            }
            signatures {
                own_signatures_merge_into_the_object
                signatures_by_others_are_for_them_alone
                a_signature_on_what_is_gone_or_changed_is_refused
                two_signatures_in_one_command_both_stay
                parallel_signatures_all_stay
                a_new_identity_loses_its_signatures
            }
            to_device {
                messages_arrive_in_order_for_their_device_only
                a_message_to_all_reaches_each_device_once
                messages_to_nobody_are_dropped
                a_transaction_is_done_once
                a_parallel_transaction_is_done_once
                an_inbox_is_read_in_pages
                an_inbox_is_read_by_span
                acknowledging_deletes_exactly_what_is_below
                messages_survive_a_restart
                parallel_senders_keep_their_order
            }
            backups {
                versions_are_numbered_and_never_reused
                the_newest_remaining_version_is_current
                more_than_ten_versions_are_in_numeric_order
                a_description_is_updated
                a_version_is_deleted_with_its_keys
                only_the_current_version_takes_keys
                the_better_key_wins
                the_etag_changes_with_the_keys_alone
                keys_are_selected_by_room_and_session
                odd_ids_do_not_mix
                session_data_comes_back_unchanged
                keys_are_deleted_from_any_version
                backups_belong_to_users_not_to_devices
                parallel_puts_converge
                a_put_is_wholly_before_a_new_version_or_refused
                a_bulk_put_counts_right
                backups_survive_a_restart
            }
            account_data {
                entries_are_set_and_read
                entries_are_read_by_the_span_they_were_set_in
                odd_ids_do_not_mix
                an_entry_is_replaced_if_it_is_as_expected
                parallel_replacements_lose_nothing
                parallel_writes_leave_one_whole
                account_data_survives_a_restart
                a_filter_is_kept_for_its_user
                a_profile_has_fields
                a_pusher_is_replaced_by_its_like
                a_pusher_takes_its_pair_from_other_users
                a_pusher_goes_with_its_device
            }
            rooms {
                a_room_is_created_once
                events_get_the_places_of_their_append
                a_stale_append_stores_nothing
                parallel_appends_each_land_once
                a_transaction_sends_one_event
                a_parallel_transaction_sends_one_event
                an_alias_is_taken_in_the_same_step
                a_room_is_published_in_the_same_step
                events_are_found_by_id
                an_auth_chain_holds_each_event_once
                an_event_need_not_be_state_or_shown
                encryption_never_goes_off
                rooms_survive_a_restart
                events_of_every_room_version_are_stored
                any_text_is_kept
            }
            room_state {
                state_is_selected
                state_is_known_at_every_place
                state_between_is_the_last_of_each_entry
                all_versions_of_an_entry_are_kept
                an_event_knows_what_it_replaced
            }
            timeline {
                a_timeline_is_read_in_both_directions
                any_span_of_a_timeline_is_right
                a_redaction_marks_its_target
                a_redaction_in_another_room_marks_nothing
                an_event_knows_its_transaction
            }
            relations {
                children_are_found_by_relation_and_type
                children_are_read_in_pages
                encrypted_children_are_found
            }
            memberships {
                members_are_counted
                members_are_known_at_every_place
                changes_of_membership_are_logged
                a_user_sees_all_rooms_as_of_a_position
                the_last_activity_of_a_room_is_kept
                one_membership_is_read
                a_room_is_forgotten_until_the_next_invitation
                the_end_of_a_forgotten_room_is_told_to_who_was_away
                rooms_are_shared_by_those_joined
                invited_users_share_if_asked
                a_shared_room_may_have_to_be_encrypted
            }
            ephemeral {
                a_receipt_replaces_its_like
                receipts_are_read_by_span
                typing_starts_stops_and_ends
                presence_is_set_and_read
                typing_that_ended_is_written_once
                odd_rooms_do_not_mix
                many_ends_of_typing_are_all_written
                presence_follows_syncing
                who_stopped_syncing_is_set_offline_once
            }
            directory {
                an_alias_is_created_once
                of_parallel_aliases_one_wins
                an_alias_is_deleted
                aliases_of_a_room_are_sorted
                published_rooms_come_by_size
            }
            media {
                media_comes_back_byte_for_byte
                a_reserved_id_is_filled_once
                content_is_stored_once
                media_survives_a_restart
            }
            short_lived {
                a_value_ends
                kinds_and_keys_do_not_mix
                a_value_is_replaced_if_it_is_as_expected
                a_value_is_taken_once
                of_parallel_takers_one_gets_it
                of_parallel_replacements_one_wins
                what_ended_is_forgotten
                values_survive_a_restart
            }
            dehydrated {
                a_dehydrated_device_has_keys_but_no_session
                a_dehydrated_device_gets_messages
                a_new_dehydrated_device_replaces_the_old_one
                a_dehydrated_device_is_deleted
                a_dehydrated_device_needs_an_id_of_its_own
                a_dehydrated_device_is_of_an_active_account
            }
            sync {
                an_initial_sync_agrees_with_the_single_reads
                an_incremental_sync_agrees_with_the_single_reads
                a_sync_of_a_deleted_device_gets_nothing
                a_sync_knows_of_a_lock
                an_inbox_longer_than_the_limit_goes_on
                key_counts_tell_when_they_changed
                nothing_above_the_horizon_is_told
                settings_tell_when_they_changed
            }
            changes {
                every_write_is_below_the_next_horizon
                a_write_comes_below_the_horizon_while_others_write
                every_kind_of_write_wakes_those_it_touches
                a_write_sends_a_hint
                positions_grow_over_a_restart
                the_epoch_stays_over_a_restart
            }
            positions {
                readers_following_horizons_miss_no_message
                readers_following_horizons_miss_no_event
                readers_following_horizons_miss_no_account_data
                readers_following_horizons_miss_no_device_list_change
                readers_following_horizons_miss_no_change_key
                syncs_miss_nothing
            }
            nodes {
                readers_on_all_nodes_miss_nothing
                claims_on_all_nodes_get_every_key_once
                a_write_on_one_node_wakes_the_others
            }
            restored {
                a_copy_hands_out_no_key_that_may_be_spent
                a_copy_keeps_messages_and_transactions
                a_copy_is_a_new_epoch_once
                the_epochs_of_two_copies_are_not_the_same
                a_store_knows_what_it_is
            }
            durability {
                what_was_acknowledged_survives_a_kill
            }
            properties {
                keys_agree_with_the_model
                inboxes_agree_with_the_model
                backups_agree_with_the_model
                device_lists_agree_with_the_model
                memberships_agree_with_the_model
            }
        }
    };
}

/// Expands the list of [`conformance_suite!`] to tests.
#[doc(hidden)]
#[macro_export]
macro_rules! tests_of_cases {
    ($fixture:ident; $($module:ident { $($case:ident)* })*) => {
        $(
            mod $module {
                $(
                    #[test]
                    fn $case() {
                        $crate::run::<super::$fixture, _>(
                            $crate::cases::$module::$case,
                            concat!(module_path!(), "::", stringify!($case)),
                        );
                    }
                )*
            }
        )*
    };
}
