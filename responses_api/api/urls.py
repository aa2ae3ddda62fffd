"""Routes, nothing else. The lean entry resolves against these; the OpenAPI document is made from them."""

from __future__ import annotations

from django.urls import path

from responses_api.api.cache import (
    CacheEntryView,
    CacheExplainView,
    CacheKeyView,
    CachePurgeView,
    CacheStatsView,
)
from responses_api.api.chat import ChatCompletionsView, CompletionsView, EmbeddingsView
from responses_api.api.conversations import (
    ConversationItemsView,
    ConversationItemView,
    ConversationsView,
    ConversationView,
)
from responses_api.api.models import ModelsView, ModelView
from responses_api.api.operations import HealthView, MetricsView, ReadyView
from responses_api.api.responses import CancelView, InputItemsView, ResponsesView, ResponseView
from responses_api.api.windows import CompactView, InputTokensView

urlpatterns = [
    path("v1/responses", ResponsesView.as_view(), name="responses"),
    path("v1/responses/compact", CompactView.as_view(), name="compact"),
    path("v1/responses/input_tokens", InputTokensView.as_view(), name="input_tokens"),
    path("v1/responses/<str:response_id>", ResponseView.as_view(), name="response"),
    path("v1/responses/<str:response_id>/cancel", CancelView.as_view(), name="cancel"),
    path("v1/responses/<str:response_id>/input_items", InputItemsView.as_view(), name="input_items"),
    path("v1/conversations", ConversationsView.as_view(), name="conversations"),
    path("v1/conversations/<str:conversation_id>", ConversationView.as_view(), name="conversation"),
    path("v1/conversations/<str:conversation_id>/items", ConversationItemsView.as_view(), name="conversation_items"),
    path(
        "v1/conversations/<str:conversation_id>/items/<str:item_id>",
        ConversationItemView.as_view(),
        name="conversation_item",
    ),
    path("v1/chat/completions", ChatCompletionsView.as_view(), name="chat_completions"),
    path("v1/completions", CompletionsView.as_view(), name="completions"),
    path("v1/embeddings", EmbeddingsView.as_view(), name="embeddings"),
    path("v1/cache/entries/<str:entry_id>", CacheEntryView.as_view(), name="cache_entry"),
    path("v1/cache/keys/<str:namespace>", CacheKeyView.as_view(), name="cache_key"),
    path("v1/cache/purge", CachePurgeView.as_view(), name="cache_purge"),
    path("v1/cache/stats", CacheStatsView.as_view(), name="cache_stats"),
    path("v1/cache/explain", CacheExplainView.as_view(), name="cache_explain"),
    path("v1/models", ModelsView.as_view(), name="models"),
    path("v1/models/<path:model_id>", ModelView.as_view(), name="model"),
    path("healthz", HealthView.as_view(), name="healthz"),
    path("readyz", ReadyView.as_view(), name="readyz"),
    path("metrics", MetricsView.as_view(), name="metrics"),
]
