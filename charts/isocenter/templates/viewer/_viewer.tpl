{{/*
The login as the viewer's platform.json has it, or nothing when there is none: what
viewer.config.oidc says, else what the tile proxy checks tokens for.
*/}}
{{- define "isocenter.viewer.oidc" -}}
{{- $oidc := .Values.viewer.config.oidc -}}
{{- $proxy := .Values.tlmProxy.config -}}
{{- $mode := ternary (get $proxy "auth_mode" | default "cognito") "none" .Values.tlmProxy.enabled -}}
{{- $authority := $oidc.authority -}}
{{- $client := $oidc.client_id -}}
{{- if and (not $authority) (ne $mode "none") -}}
{{- $authority = get $proxy "oidc_issuer" -}}
{{- if and (not $authority) (eq $mode "cognito") -}}
{{- $pool := required "tlmProxy.config.cognito_user_pool_id is required (or viewer.config.oidc.authority)" (get $proxy "cognito_user_pool_id") -}}
{{- $authority = printf "https://cognito-idp.%s.amazonaws.com/%s" (first (splitList "_" $pool)) $pool -}}
{{- end -}}
{{- /* The proxy may take tokens of several clients; pages log in as the first. */}}
{{- if eq $mode "cognito" -}}{{- $client = $client | default (get $proxy "cognito_client_id" | default "" | splitList "," | first | trim) -}}{{- end -}}
{{- end -}}
{{- if $authority -}}
{{- $cognito := contains "://cognito-idp." $authority -}}
{{- if $cognito -}}
{{- $origins := join " " ($oidc.origins | default list) -}}
{{- $_ := required "viewer.config.oidc.origins is required: the user pool's domain, such as https://imaging.auth.eu-west-1.amazoncognito.com" $origins -}}
{{- end -}}
{{- dict
  "authority" $authority
  "clientId" (required "viewer.config.oidc.client_id is required" $client)
  "scope" $oidc.scope
  "cognito" $cognito
  | toJson -}}
{{- else -}}null{{- end -}}
{{- end -}}

{{/* What the viewer serves as /platform.json; extension/platform.mjs has its form. */}}
{{- define "isocenter.viewer.platform" -}}
{{- $stores := list -}}
{{- range .Values.viewer.config.stores -}}
{{- $stores = append $stores (dict "name" .name "friendlyName" (.friendly_name | default .name) "region" .region "datastoreId" .datastore_id) -}}
{{- else -}}
{{- $stores = list (dict
  "name" "main"
  "friendlyName" "Main data store"
  "region" (required "aws.region is required" .Values.aws.region)
  "datastoreId" (required "platform.datastore_id is required" .Values.platform.datastore_id)) -}}
{{- end -}}
{{- $proxies := .Values.viewer.config.proxy_urls | default list -}}
{{- if .Values.tlmProxy.enabled }}{{ $proxies = prepend $proxies "" }}{{ end -}}
{{- if not $proxies }}{{ fail "viewer.config.proxy_urls is required where tlmProxy is off" }}{{ end -}}
{{- if not .Values.viewer.config.proxy_urls -}}
{{- $served := get .Values.tlmProxy.config "regions" | default (list .Values.aws.region) -}}
{{- range $stores -}}
{{- if not (has .region $served) -}}
{{- fail (printf "viewer.config.stores: %s is in %s, which the tile proxy does not serve: add it to tlmProxy.config.regions" .name .region) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict
  "stores" $stores
  "proxyUrls" $proxies
  "oidc" (include "isocenter.viewer.oidc" . | fromJson)
  "ohif" .Values.viewer.config.ohif
  | toPrettyJson -}}
{{- end -}}

{{/* Origins besides its own that the viewer's pages may call. */}}
{{- define "isocenter.viewer.origins" -}}
{{- $urls := .Values.viewer.config.proxy_urls | default list -}}
{{- with (include "isocenter.viewer.oidc" . | fromJson) }}{{ $urls = append $urls .authority }}{{ end -}}
{{- $origins := .Values.viewer.config.oidc.origins | default list -}}
{{- range $urls -}}
{{- $url := urlParse . -}}
{{- $origins = append $origins (printf "%s://%s" $url.scheme $url.host) -}}
{{- end -}}
{{- $origins | uniq | join " " -}}
{{- end -}}
