{{/*
Reference of a component's image: (dict "root" $ "component" "storescp"). A digest
wins over a tag, as it names one content; the registry of the component wins over the
registry of all, which may be a mirror.
*/}}
{{- define "isocenter.image" -}}
{{- $all := .root.Values.images -}}
{{- $image := (index .root.Values .component).image -}}
{{- $registry := $image.registry | default $all.registry -}}
{{- $registry = required "images.registry is required: the host[/path] that holds the images" $registry | trimSuffix "/" -}}
{{- $name := printf "%s/%s" $registry (required (printf "%s.image.repository is required" .component) $image.repository) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $all.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
